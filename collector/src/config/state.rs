//! Where state is kept: a folder of this collector's own, or a Redis that several share. It does not
//! know whether either is there.

use std::fmt;
use std::path::PathBuf;

/// What separates the parts of our keys, which a prefix must therefore not contain.
const FORBIDDEN: [char; 3] = ['{', '}', ':'];

/// Where decisions and panes are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// In a folder that one collector writes; absolute.
    Folder(PathBuf),
    /// In a Redis that several collectors share.
    Redis(Redis),
}

/// A Redis, and what is ours in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Redis {
    /// As the client wants it, with the password, without our options.
    pub url: String,
    /// Before each of our keys.
    pub prefix: String,
    /// What the other collectors call this one; `None` for its HTTP address.
    pub name: Option<String>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("at", &self.told()).field("prefix", &self.prefix).finish()
    }
}

/// What is wrong with a URL, or what it should have been.
pub const EXPECTED: &str = "a Redis such as redis://127.0.0.1:6379/0 or redis://:PASSWORD@redis:6379/0?prefix=tidegate&name=collector-1";

impl Redis {
    /// Reads `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=PREFIX&name=NAME]`; `None`
    /// where it is something else.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let rest = written.strip_prefix("redis://")?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // An address of IPv6 has colons of its own, in brackets.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port),
            _ => (host, "6379"),
        };
        let visible = |text: &str| !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let fits = !name.is_empty()
            && visible(place)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
            && (database.is_empty() || database.parse::<u16>().is_ok());
        let url = format!("redis://{place}");
        let mut redis = Self { url, prefix: "tidegate".to_owned(), name: None };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=')? {
                ("prefix", prefix) => prefix.clone_into(&mut redis.prefix),
                ("name", name) => redis.name = Some(name.to_owned()),
                _ => return None,
            }
        }
        let short = |text: &str| (1..=64).contains(&text.len()) && visible(text);
        let prefix = short(&redis.prefix) && !redis.prefix.contains(FORBIDDEN);
        (fits && prefix && redis.name.as_deref().is_none_or(short)).then_some(redis)
    }

    /// Where it is, without the password.
    #[must_use]
    pub fn told(&self) -> String {
        let place = self.url.trim_start_matches("redis://");
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        format!("redis://{place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_server_and_what_is_ours_in_it() {
        let plain = Redis::parse("redis://127.0.0.1").expect("a URL");
        assert_eq!((&plain.url[..], &plain.prefix[..]), ("redis://127.0.0.1", "tidegate"));
        let full = Redis::parse("redis://me:secret@[::1]:6380/3?prefix=blue&name=c-1");
        let full = full.expect("a URL");
        assert_eq!(full.url, "redis://me:secret@[::1]:6380/3");
        assert_eq!((&full.prefix[..], full.name.as_deref()), ("blue", Some("c-1")));
        assert!(!format!("{full:?} {}", full.told()).contains("secret"));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for wrong in [
            "rediss://127.0.0.1",
            "redis://",
            "redis://:6379",
            "redis://host:0",
            "redis://host:port",
            "redis://host/db",
            "redis://host?prefix=",
            "redis://host?prefix=a:b",
            "redis://host?colour=blue",
            "redis://host?name",
        ] {
            assert_eq!(Redis::parse(wrong), None, "{wrong}");
        }
    }
}
