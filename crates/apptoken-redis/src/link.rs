use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::SentinelClient;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisFuture, RedisResult, Value,
};
use tokio::sync::{OnceCell, oneshot};

/// The connection to Redis, made when it is needed. Every command runs in a task of its own: who asks may go away at
/// the deadline, and the connection is made, or found dead, all the same.
pub(crate) struct Link {
    server: Server,
    shown: String,
    /// Replaced when the connection in it is of no more use.
    current: Mutex<Arc<OnceCell<Connection>>>,
}

#[expect(clippy::large_enum_variant, reason = "one for each level")]
pub(crate) enum Server {
    Single(Client),
    /// Made anew for each connection: it must be asked by one at a time.
    Sentinel(Box<dyn Fn() -> RedisResult<SentinelClient> + Send + Sync>),
    Cluster {
        client: ClusterClient,
        seeds: Vec<Client>,
    },
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(crate) fn new(server: Server, shown: String) -> Self {
        Self { server, shown, current: Mutex::default() }
    }

    pub(crate) async fn ask<T: FromRedisValue + Send + 'static>(
        self: &Arc<Self>,
        command: Cmd,
    ) -> Result<T, RedisError> {
        self.ask_or_undo(command, |_| None).await
    }

    /// As `ask`; sends what `undo` makes of the answer if the asker is gone when it comes.
    pub(crate) async fn ask_or_undo<T: FromRedisValue + Send + 'static>(
        self: &Arc<Self>,
        command: Cmd,
        undo: impl FnOnce(T) -> Option<Cmd> + Send + 'static,
    ) -> Result<T, RedisError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err((ErrorKind::Client, "Redis is asked from within a tokio runtime only").into());
        };
        let (answer, answered) = oneshot::channel();
        let link = self.clone();
        runtime.spawn(async move {
            let outcome = link.query(command).await.and_then(|value| Ok(redis::from_redis_value(value)?));
            if let Err(Ok(unheard)) = answer.send(outcome)
                && let Some(command) = undo(unheard)
                && let Err(error) = link.query(command).await
            {
                tracing::debug!(%error, "what was asked of Redis could not be undone");
            }
        });
        answered.await.unwrap_or_else(|_| Err((ErrorKind::Client, "the task that asked Redis has ended").into()))
    }

    /// Connects, if there is a runtime to do it on, so that the first question need not wait for it.
    pub(crate) fn warm(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let link = self.clone();
        runtime.spawn(async move { link.query(redis::cmd("PING")).await });
    }

    /// A subscription's connection, of its own. In a Cluster any node tells what any other was told.
    pub(crate) async fn subscription(&self) -> Result<PubSub, RedisError> {
        let work = async {
            match &self.server {
                Server::Single(client) => client.get_async_pubsub().await,
                Server::Sentinel(client) => {
                    let master = client()?.async_get_client().await?;
                    master.get_async_pubsub().await
                }
                Server::Cluster { seeds, .. } => {
                    let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no node"));
                    for seed in seeds {
                        match tokio::time::timeout(CONNECT, seed.get_async_pubsub()).await {
                            Ok(Ok(subscription)) => return Ok(subscription),
                            Ok(Err(error)) => last = error,
                            Err(_) => last = late(),
                        }
                    }
                    Err(last)
                }
            }
        };
        tokio::time::timeout(CONNECT * 2, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn query(&self, command: Cmd) -> Result<Value, RedisError> {
        let cell = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let work = async {
            let mut connection = cell.get_or_try_init(|| self.connect()).await?.clone();
            connection.req_packed_command(&command).await.and_then(|answer| answer.extract_error())
        };
        let outcome = tokio::time::timeout(ANSWER * 2, work).await.unwrap_or_else(|_| Err(late()));
        if let Err(error) = &outcome
            && is_lost(error)
        {
            self.give_up(&cell);
        }
        outcome
    }

    async fn connect(&self) -> Result<Connection, RedisError> {
        let config =
            || AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        let connection = match &self.server {
            Server::Single(client) => {
                Connection::Single(client.get_multiplexed_async_connection_with_config(&config()).await?)
            }
            Server::Sentinel(client) => {
                let master = client()?.async_get_client().await?;
                Connection::Single(master.get_multiplexed_async_connection_with_config(&config()).await?)
            }
            Server::Cluster { client, .. } => Connection::Cluster(client.get_async_connection().await?),
        };
        tracing::debug!(redis = self.shown, "connected");
        Ok(connection)
    }

    fn give_up(&self, cell: &Arc<OnceCell<Connection>>) {
        // a Cluster's connection looks after those to its nodes
        if matches!(cell.get(), Some(Connection::Cluster(_))) {
            return;
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, cell) {
            *current = Arc::default();
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Whether another connection, perhaps to another server, may fare better.
fn is_lost(error: &RedisError) -> bool {
    error.code().is_none_or(|code| matches!(code, "READONLY" | "MASTERDOWN" | "LOADING" | "NOAUTH" | "UNBLOCKED"))
}

fn late() -> RedisError {
    (ErrorKind::Io, "no answer from Redis in time").into()
}

/// For each packet that gets no answer, so that a connection that was cut is not waited for for a quarter of an hour.
pub(crate) fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(
        redis::io::tcp::socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 3),
    );
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(KEEP_ALIVE);
    settings
}

/// The crate `redis` takes the process's crypto provider, and panics when there are two to choose from and none was.
pub(crate) fn choose_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // another thread may have been faster: there is one, then
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// After it a connection is taken for dead; nobody waits that long for an answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
