//! A step: what one Envoy is given next on its way from what it has to what it should have. Where a
//! decision moves a model from Envoy's weights to the filter or back, what takes hold goes first, and what
//! lets go follows when that is in effect: whatever an Envoy refuses, no version gets requests that it was
//! spared. What was refused is left out, so that it holds nothing else up. It does not know the protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::snapshot::{Resource, Snapshot};
use crate::routing::Routing;

/// What is known of one resource of an Envoy.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The snapshot whose part it has in effect; `None` where that is not known.
    pub has: Option<Arc<Snapshot>>,
    /// By model, what it refused last of what is still wanted.
    pub refused: BTreeMap<String, Routing>,
}

impl Known {
    /// Takes in that the Envoy refused its part of a snapshot: what differs there from what it has.
    pub fn refuse(&mut self, resource: Resource, refused: &Snapshot) {
        for (model, routing) in refused.routings() {
            let has = self.has.as_ref().and_then(|has| has.routings().get(model));
            if !has.is_some_and(|has| same(resource, has, routing)) {
                self.refused.insert(model.clone(), routing.clone());
            }
        }
    }

    /// Forgets refusals of what is wanted no more.
    pub fn forget(&mut self, resource: Resource, wanted: &Snapshot) {
        self.refused.retain(|model, refused| {
            let routing = wanted.routings().get(model);
            routing.is_some_and(|routing| same(resource, routing, refused))
        });
    }
}

/// Whether two routes of a model are the same as far as a resource tells them.
fn same(resource: Resource, one: &Routing, other: &Routing) -> bool {
    match resource {
        Resource::Extension => one.orders_as(other),
        Resource::Runtime => one.shares_as(other),
    }
}

/// What an Envoy is given next, by what is known of its resources (of those that it asked for), when
/// it should have the whole of a snapshot.
#[must_use]
pub fn next(known: &BTreeMap<Resource, &Known>, whole: &Arc<Snapshot>) -> Arc<Snapshot> {
    let [extension, runtime] = Resource::ALL.map(|resource| known.get(&resource).copied());
    let mut routings = BTreeMap::new();
    for (model, wanted) in whole.routings() {
        let of = |known: Option<&Known>| {
            known?.has.as_ref().and_then(|has| has.routings().get(model)).cloned()
        };
        let shares = of(runtime).filter(|has| !has.shares_as(wanted));
        // Nobody carries anything out where no filter asks for its table.
        let none = || Routing { block: None, divert: None, ..wanted.clone() };
        let orders = if extension.is_some() { of(extension) } else { Some(none()) };
        let orders = orders.filter(|has| !has.orders_as(wanted));

        let both = orders.is_some() && shares.is_some();
        let refused = |resource, known: Option<&Known>| {
            let refused = known.and_then(|known| known.refused.get(model));
            refused.is_some_and(|refused| same(resource, refused, wanted))
        };
        let keeps_shares = (both && wanted.has_orders()) || refused(Resource::Runtime, runtime);
        let keeps_orders =
            (both && !wanted.has_orders()) || refused(Resource::Extension, extension);

        let mut routing = wanted.clone();
        if let Some(Routing { weights, mirrors, .. }) = shares.filter(|_| keeps_shares) {
            routing = Routing { weights, mirrors, ..routing };
        }
        if let Some(Routing { block, divert, .. }) = orders.filter(|_| keeps_orders) {
            routing = Routing { block, divert, ..routing };
        }
        routings.insert(model.clone(), routing);
    }
    if routings == *whole.routings() {
        return Arc::clone(whole);
    }
    Arc::new(whole.with(&routings))
}
