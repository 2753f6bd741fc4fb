//! The door to Redis: every command and script that is sent there, and the only file that names the
//! client. It does not know when they are sent.
//!
//! Our keys, `P` being the prefix: `{P}:log` (a list, a line of the journal's form each), `{P}:lease`
//! (`TOKEN ID NAME` of the collector that decides, gone by itself after a while), `{P}:token` (how many
//! leases there were), `{P}:members` and `{P}:followed` (by id, when each collector was last heard and
//! how much of the log its Envoys follow), `{P}:pane:MODEL:MILLISECONDS:HOP` (by id, a pane), and
//! `{P}:sensitive_key`. The braces keep all of them together in a cluster.

use std::time::Duration;

use redis::{Connection, RedisError, Script, Value};

use crate::config::duration::millis;
use crate::config::state::Redis;
use crate::decision::UnixMillis;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(400);
/// What a collector says that has no Envoys to follow anything.
const NO_ENVOYS: &str = "none";
/// Lines that are read at once.
pub const LINES_AT_ONCE: u64 = 500;

/// Adds a line where the lease is the writer's and the log is as long as it thinks.
const APPEND: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
if redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[2]) then return -2 end
return redis.call('RPUSH', KEYS[2], ARGV[3])";

/// Says that a collector is there, takes the lease or keeps it, and tells how all stand. ARGV: id,
/// name, the lease it holds, milliseconds that a lease lasts, what its Envoys follow.
const TEND: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[3], now, ARGV[1])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[4])) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
end
redis.call('HSET', KEYS[4], ARGV[1], ARGV[5])
local lease = redis.call('GET', KEYS[1])
if not lease then
  lease = redis.call('INCR', KEYS[2]) .. ' ' .. ARGV[1] .. ' ' .. ARGV[2]
  redis.call('SET', KEYS[1], lease, 'PX', ARGV[4])
elseif lease == ARGV[3] then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {now, lease, redis.call('LLEN', KEYS[5]), redis.call('HGETALL', KEYS[4])}";

/// Gives a lease back.
const RELEASE: &str = r"
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Puts lines back that the log had and lost; ARGV: how long it must be, then the lines.
const RESTORE: &str = r"
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
return 1";

/// Why Redis did not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(String);

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        // Its words for a timeout are the system's, which nobody understands.
        Self(if error.is_timeout() {
            format!("no answer within {} ms", ANSWER.as_millis())
        } else {
            error.to_string()
        })
    }
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in the log.
    Kept,
    /// The lease is not the writer's.
    Fenced,
    /// The log has another length.
    Moved,
}

/// How all stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tended {
    /// What time it is there.
    pub now: UnixMillis,
    /// The lease in force: `TOKEN ID NAME`.
    pub lease: String,
    /// Lines of the log.
    pub length: u64,
    /// By the id of each collector that is there, how much of the log its Envoys follow; `None` where it
    /// has none.
    pub followed: Vec<(String, Option<u64>)>,
}

/// A connection, and our names for keys.
pub struct Door {
    connection: Connection,
    prefix: String,
}

impl Door {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers in time, or refuses.
    pub fn open(redis: &Redis) -> Result<Self, Trouble> {
        let client = redis::Client::open(&redis.url[..])?;
        let connection = client.get_connection_with_timeout(CONNECT)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(Self { connection, prefix: format!("{{{}}}", redis.prefix) })
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Lines of the log from an index on, at most [`LINES_AT_ONCE`].
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn lines(&mut self, from: u64) -> Result<Vec<Vec<u8>>, Trouble> {
        let mut command = redis::cmd("LRANGE");
        command.arg(self.key("log")).arg(from).arg(from + LINES_AT_ONCE - 1);
        Ok(command.query(&mut self.connection)?)
    }

    /// Adds a line where the lease is ours and the log is this long.
    ///
    /// # Errors
    /// When Redis does not answer as it should: then the line may be in the log or not.
    pub fn append(&mut self, lease: &str, length: u64, line: &[u8]) -> Result<Added, Trouble> {
        let keys = [self.key("lease"), self.key("log")];
        let added: i64 = Script::new(APPEND)
            .key(&keys)
            .arg(lease)
            .arg(length)
            .arg(line)
            .invoke(&mut self.connection)?;
        Ok(match added {
            -1 => Added::Fenced,
            -2 => Added::Moved,
            _ => Added::Kept,
        })
    }

    /// Waits until what was written is on the disk of Redis, where it keeps a file of all commands and
    /// can say so; `None` where it does not or cannot.
    pub fn settled(&mut self) -> Option<bool> {
        let mut command = redis::cmd("WAITAOF");
        // A little less than an answer may take.
        command.arg(1).arg(0).arg(millis(ANSWER) - 100);
        let (local, _): (u64, u64) = command.query(&mut self.connection).ok()?;
        Some(local > 0)
    }

    /// Puts lines back that the log lost, where it is this long.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn restore(&mut self, length: u64, lines: &[&[u8]]) -> Result<(), Trouble> {
        let mut script = redis::cmd("EVAL");
        script.arg(RESTORE).arg(1).arg(self.key("log")).arg(length);
        script.arg(lines);
        Ok(script.query(&mut self.connection)?)
    }

    /// Says that this collector is there, and takes or keeps the lease where it can.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn tend(
        &mut self,
        id: &str,
        name: &str,
        lease: &str,
        lasts: Duration,
        followed: Option<u64>,
    ) -> Result<Tended, Trouble> {
        let keys = ["lease", "token", "members", "followed", "log"].map(|key| self.key(key));
        let (now, lease, length, followed) = Script::new(TEND)
            .key(&keys)
            .arg(id)
            .arg(name)
            .arg(lease)
            .arg(millis(lasts))
            .arg(followed.map_or(NO_ENVOYS.to_owned(), |length| length.to_string()))
            .invoke::<(UnixMillis, String, u64, Vec<(String, String)>)>(&mut self.connection)?;
        let followed = followed.into_iter().map(|(id, length)| (id, length.parse().ok()));
        Ok(Tended { now, lease, length, followed: followed.collect() })
    }

    /// Says that this collector goes.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn release(&mut self, id: &str, lease: &str) -> Result<(), Trouble> {
        let keys = ["lease", "members", "followed"].map(|key| self.key(key));
        let script = Script::new(RELEASE);
        let _: Value = script.key(&keys).arg(lease).arg(id).invoke(&mut self.connection)?;
        Ok(())
    }

    /// Gives a pane to all, for a while.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn publish(
        &mut self,
        pane: &str,
        id: &str,
        bytes: &[u8],
        lasts: Duration,
    ) -> Result<(), Trouble> {
        let key = self.key(pane);
        let mut pipe = redis::pipe();
        pipe.cmd("HSET").arg(&key).arg(id).arg(bytes).ignore();
        pipe.cmd("PEXPIRE").arg(&key).arg(millis(lasts)).ignore();
        Ok(pipe.query(&mut self.connection)?)
    }

    /// How many collectors have given theirs.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn given(&mut self, pane: &str) -> Result<usize, Trouble> {
        let mut command = redis::cmd("HLEN");
        command.arg(self.key(pane));
        Ok(command.query(&mut self.connection)?)
    }

    /// The panes that all have given, each with the id of its collector.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn panes(&mut self, pane: &str) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.key(pane));
        Ok(command.query(&mut self.connection)?)
    }

    /// The key of sensitive values that all use: this one, where there is none yet.
    ///
    /// # Errors
    /// When Redis does not answer as it should.
    pub fn sensitive_key(&mut self, offered: &str) -> Result<String, Trouble> {
        let key = self.key("sensitive_key");
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(&key).arg(offered).arg("NX").ignore();
        pipe.cmd("GET").arg(&key);
        let (kept,): (String,) = pipe.query(&mut self.connection)?;
        Ok(kept)
    }
}
