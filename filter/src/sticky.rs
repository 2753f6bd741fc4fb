//! Sticky: which of a hundred buckets a client is in, so that it gets the same version each time while
//! several answer. A client keeps its bucket, and a version that gets more percent keeps those it had. It
//! does not know the versions.

use tidegate_contract::plugin::Sticky;

use crate::order::address;
use crate::sampling;

/// Weights are percent.
const BUCKETS: f64 = 100.0;

/// The bucket of a request, 0 to 99, by its headers and its client's address; `None` where it has not
/// what the rule asks for, and then chance decides.
pub fn bucket<'a>(
    sticky: &Sticky,
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    client: impl FnOnce() -> Option<Vec<u8>>,
) -> Option<String> {
    let share = match sticky {
        Sticky::Header(name) => {
            let mut named = headers.into_iter().filter(|(other, _)| *other == name.as_bytes());
            named.next().map(|(_, value)| sampling::share(value))
        }
        Sticky::Client => {
            let address = client().as_deref().and_then(address);
            address.map(|address| sampling::share(address.to_string().as_bytes()))
        }
    };
    share.map(|share| format!("{:.0}", (share * BUCKETS).floor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_header(value: &str) -> Option<String> {
        let sticky = Sticky::Header("x-user".to_owned());
        let headers = [(&b"x-other"[..], &b"z"[..]), (b"x-user", value.as_bytes())];
        bucket(&sticky, headers, || None)
    }

    #[test]
    fn a_client_keeps_its_bucket_and_all_are_used_alike() {
        assert_eq!(by_header("ada"), by_header("ada"));
        let mut of = [0_u32; 100];
        for user in 0..100_000 {
            let bucket = by_header(&format!("user-{user}")).unwrap();
            of[bucket.parse::<usize>().unwrap()] += 1;
        }
        // Six standard deviations of a binomial around a thousand.
        assert!(of.iter().all(|users| (810..=1190).contains(users)), "{of:?}");
    }

    #[test]
    fn an_address_counts_without_its_port() {
        let of = |address: &str| bucket(&Sticky::Client, [], || Some(address.into()));
        assert_eq!(of("10.0.0.1:5000"), of("10.0.0.1:6000"));
        assert_eq!(of("[::1]:5000"), of("[::1]:6000"));
        assert!(of("10.0.0.1:1").is_some());
        // Of one without a port nothing is cut off.
        assert_eq!(of("fd00::1"), of("[fd00::1]:5000"));
        assert_ne!(of("fd00::1"), of("fd00::2"));
        assert_eq!(of("10.0.0.1"), of("10.0.0.1:5000"));
    }

    #[test]
    fn without_the_header_or_the_address_chance_decides() {
        assert_eq!(bucket(&Sticky::Header("x-user".to_owned()), [], || None), None);
        assert_eq!(bucket(&Sticky::Client, [], || None), None);
        assert_eq!(bucket(&Sticky::Client, [], || Some(b"a unix socket".to_vec())), None);
    }
}
