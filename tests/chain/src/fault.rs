//! Five faults, and the rule that is for each.

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A program takes all connections of PostgreSQL that clients may have.
    Connections,
    /// A session waits for a lock that another one does not give up.
    Lock,
    /// Redis' memory is full.
    Memory,
    /// Redis is stopped.
    Redis,
    /// PostgreSQL is stopped.
    Postgres,
}

impl Fault {
    /// All of them; the first three can last at once, and so can the last two.
    pub const ALL: [Self; 5] = [
        Self::Connections,
        Self::Lock,
        Self::Memory,
        Self::Redis,
        Self::Postgres,
    ];

    /// The alert that is for it.
    #[must_use]
    pub const fn alert(self) -> &'static str {
        match self {
            Self::Connections => "PostgresConnectionsExhausted",
            Self::Lock => "PostgresLockWait",
            Self::Memory => "RedisMemoryFull",
            Self::Redis => "RedisDown",
            Self::Postgres => "PostgresDown",
        }
    }

    /// The page of `docs/runbooks` that its alert leads to.
    #[must_use]
    pub const fn runbook(self) -> &'static str {
        match self {
            Self::Connections => "PostgresConnectionsHigh",
            Self::Memory => "RedisMemoryHigh",
            Self::Lock | Self::Redis | Self::Postgres => self.alert(),
        }
    }

    /// The rest of the anomaly's signature: service, namespace and error type.
    #[must_use]
    pub const fn signature(self) -> [&'static str; 3] {
        let (service, reason) = match self {
            Self::Connections => ("tocsin-postgres", "ConnectionsExhausted"),
            Self::Lock => ("tocsin-postgres", "LockWait:postgres"),
            Self::Memory => ("tocsin-redis", "MemoryFull"),
            Self::Redis => ("tocsin-redis", "Down"),
            Self::Postgres => ("tocsin-postgres", "Down"),
        };
        [service, "monitoring", reason]
    }

    /// The severity of its alert.
    #[must_use]
    pub const fn severity(self) -> &'static str {
        match self {
            Self::Lock => "warning",
            _ => "critical",
        }
    }

    /// The summary of its alert, which is the title of the incident.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Connections => {
                "PostgreSQL tocsin-postgres refuses new connections, or is about to"
            }
            Self::Lock => "A session in tocsin-postgres (postgres) waits for a lock",
            Self::Memory => "The memory of Redis tocsin-redis is full",
            Self::Redis => "Redis tocsin-redis does not answer its exporter",
            Self::Postgres => "PostgreSQL tocsin-postgres does not answer its exporter",
        }
    }

    /// What goes wrong, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Connections => "connections exhausted",
            Self::Lock => "a lock wait",
            Self::Memory => "Redis memory full",
            Self::Redis => "Redis stopped",
            Self::Postgres => "PostgreSQL stopped",
        }
    }
}
