//! What the demo says of each fault.

use tocsin_chain::Fault;

/// What happens now.
pub(crate) const fn done(fault: Fault) -> &'static str {
    match fault {
        Fault::Connections => "A program opens connections and keeps them until it is refused.",
        Fault::Lock => {
            "A session locks the table `orders` and does nothing; another one waits for it."
        }
        Fault::Memory => "A program writes to Redis until `maxmemory` is reached.",
        Fault::Redis => "Redis is stopped.",
        Fault::Postgres => {
            "PostgreSQL is stopped (the one that is watched; Tocsin has a database of its own)."
        }
    }
}

/// What to look at.
pub(crate) const fn look(fault: Fault) -> &'static str {
    match fault {
        Fault::Connections => {
            "  - The incident is named by the labels of the rule: what (ConnectionsExhausted), where (tocsin-postgres in
    monitoring). That is its anomaly: whatever fires under this name again is counted there.
  - Tier 1: it is new, so the runbook's smallest action comes first. The analysis links the runbook.
  - In the list is a second incident, PostgresConnectionsHigh: 80% came before 95%."
        }
        Fault::Lock => {
            "  - The error type has the database: LockWait:postgres. A lock wait in another database is another anomaly.
  - Its severity is warning; the two from before are resolved by themselves, and say when."
        }
        Fault::Memory => {
            "  - The description says how full it is, as of when the rule fired.
  - RedisWritesRefused opens beside it, because the program got errors: a cause and what it does to others are two
    incidents, and the analysis of one names the other if they open together often."
        }
        Fault::Redis => {
            "  - Prometheus told Tocsin directly and by Alertmanager, and that is one firing: look at \"Firings\" on the page.
  - /system has each source, and when it delivered last."
        }
        Fault::Postgres => {
            "  - All rules about its connections and locks have no data now; this one rule says why.
  - When it is back, PostgresRestarted opens again: its firings of today are one anomaly with a count."
        }
    }
}

/// How it ends.
pub(crate) const fn ended(fault: Fault) -> &'static str {
    match fault {
        Fault::Connections => "The program gives its connections back.",
        Fault::Lock => "The first session ends its transaction.",
        Fault::Memory => "The keys are deleted.",
        Fault::Redis => "Redis is started again.",
        Fault::Postgres => "PostgreSQL is started again.",
    }
}
