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
        Fault::Redis => "It is told to shut down, as by `systemctl stop`.",
        Fault::Postgres => "The one that is watched; Tocsin has a database of its own.",
    }
}

/// What to look at.
pub(crate) const fn look(fault: Fault) -> &'static str {
    match fault {
        Fault::Connections => {
            "  - The incident is named by the labels of the rule: what (ConnectionsExhausted), where (tocsin-postgres in
    monitoring). That is its anomaly: whatever fires under this name again is counted there.
  - Tier 1: it is new, so the smallest action of its runbook is recommended. The analysis says what opened before, and
    links the runbook.
  - PostgresConnectionsHigh (80%, for twice as long) opens beside it a few seconds later."
        }
        Fault::Lock => {
            "  - The error type has the database: LockWait:postgres. A lock wait in another database is another anomaly.
  - Its severity is warning. The incidents from before are resolved by themselves: list them by status."
        }
        Fault::Memory => {
            "  - The description says how full it is, as of when the rule fired.
  - RedisWritesRefused opened before it, because the program got an error: the analysis names it."
        }
        Fault::Redis => {
            "  - Prometheus told Tocsin directly and by Alertmanager, and that is one firing: look at \"Firings\" on the page.
  - /system has each source, when it delivered last, and the links of Tocsin's own chain."
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
