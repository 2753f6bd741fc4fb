//! Orders: what all Envoys should have, by what is configured and decided. Pure.

use std::collections::BTreeMap;

use tidegate_contract::contract::Contract;
use tidegate_contract::plugin;

use super::Watched;
use crate::config::Config;
use crate::config::model::Model;
use crate::ledger::Ledger;
use crate::routing::Routing;
use crate::xds::world::World;

/// The world of all models, each under what is decided about it.
pub(super) fn give(
    config: &Config,
    watched: &[Watched],
    ledger: &Ledger,
    sensitive_key: &str,
) -> World {
    let mut routings = BTreeMap::new();
    let mut models = Vec::new();
    for Watched { model, contract, .. } in watched {
        let routing = {
            let promoted = ledger.promoted(&model.name).map(|(version, _)| version);
            Routing::of(model, ledger.active(&model.name), promoted)
        };
        models.push(plugin_model(model, contract, &routing));
        routings.insert(model.name.clone(), routing);
    }
    let collector = plugin::Collector {
        cluster: config.envoy.collector_cluster.clone(),
        ..plugin::Collector::default()
    };
    let table = plugin::Plugin {
        collector: Some(collector),
        sensitive_key: Some(sensitive_key.to_owned()),
        models,
        ..plugin::Plugin::default()
    };
    let envoys = watched.iter().map(|watched| watched.model.envoys.clone()).collect();
    World::of(routings, table, envoys, &config.envoy)
}

/// What the filter must know of a model under these routes.
pub(crate) fn plugin_model(model: &Model, contract: &Contract, routing: &Routing) -> plugin::Model {
    let versions = model.versions.iter().map(|version| plugin::Version {
        version: version.name.clone(),
        cluster: version.cluster.clone(),
    });
    plugin::Model {
        model: model.name.clone(),
        route: model.route.clone(),
        protocol: model.protocol,
        mode: model.mode,
        sticky: model.sticky.clone(),
        sample_rate: model.sample_rate,
        max_capture_bytes: model.max_capture_bytes,
        max_sample_bytes_per_second: model.max_sample_bytes_per_second,
        keep: model.keep.clone(),
        versions: versions.collect(),
        contract: Some(contract.clone()),
        block: routing.block.clone(),
        divert: routing.divert.clone(),
    }
}
