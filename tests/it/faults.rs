//! Faults, and what must hold all the same. One file for each row of this table, one oracle for all
//! of them ([`oracle`]). Those with a star run in `./scripts/test`, all of them in `./scripts/soak`.
//!
//! | what fails | how |
//! |---|---|
//! | worker | kill -9 at any moment*, between commit and count*, between count and push*, between push and ack*, during the ack; SIGTERM*; stopped for 40 s*; a job that kills its process* |
//! | Redis | kill -9*, a pause of 30 s*, emptied*, full*, nearly full of counts, slow, a hundred consumers |
//! | PostgreSQL | restarted*, killed, a standby that takes over*, its connections ended*, a lock held for 30 s*, read-only*, rights withdrawn*, deadlocks and refusals to serialize, slow |
//! | SQLite | kill -9 in a commit*, locked by another process*, disk full, file not writable*, a damaged page* |
//! | analysis | kill -9 while the language model is asked*, before the analysis is written* |
//! | messages | kill -9 between a claim and the message*, between Telegram's answer and its note*, between the claim of an edit and the edit*, of a digest and the digest*, between a button's operation and what must follow* |
//! | comments | kill -9 between a claim and the comment at Sentry*, between Sentry's answer and its note*; likewise of the edit of a comment* |
//! | network | cut in the request and in the reply at the ingress*, 170 clients of the pages that are slow or deaf*, Telegram hanging, resetting, refusing, talking nonsense* |
//! | channels | Telegram hanging beside a webhook, 30,000 messages pending for a channel that is down, a claim among these |
//! | time | the clock of SQLite's computer 8 hours ahead and then right*, an ingress's clock likewise*, a worker's clock 10 minutes ahead and behind*, alerts dated in the future and a year ago*, out of order*, resolved before they fire* |
//! | deploy | every process restarted in turn, behind a load balancer*; a schema that a newer version changes*, an older version beside this one |
//! | load | a million jobs queued, a million names, 10,000 anomalies in a second*, one anomaly 100,000 times* |
//!
//! What a scenario leaves to chance follows from `TOCSIN_TEST_SEED`, which it prints.

/// Writes each scenario once and runs it on the combinations that it names, in a module of its name; on those
/// behind `soak` in the soak alone.
macro_rules! scenarios {
    ($($(#[$about:meta])* async fn $name:ident($on:ident: $($combination:ident)+ $(; soak $($long:ident)+)?)
       $body:block)*) => {
        $( scenarios!(@module $name [$(#[$about])*] $($combination)+ $(; $($long)+)?);
           async fn $name($on: $crate::harness::On) $body )*
    };
    (@module $name:ident $about:tt $($combination:ident)+ $(; $($long:ident)+)?) => {
        mod $name {
            $( scenarios!(@test $name $about $combination); )+
            $($( scenarios!(@test $name [#[ignore = "soak"]] $long); )+)?
        }
    };
    (@test $name:ident $about:tt sqlite) => { scenarios!(@test $name $about sqlite Sqlite); };
    (@test $name:ident $about:tt postgres) => { scenarios!(@test $name $about postgres Postgres); };
    (@test $name:ident $about:tt fleet) => { scenarios!(@test $name $about fleet Fleet); };
    (@test $name:ident [$($about:tt)*] $combination:ident $on:ident) => {
        $($about)*
        #[tokio::test(flavor = "multi_thread")]
        async fn $combination() { super::$name($crate::harness::On::$on).await }
    };
}

mod analysis;
mod channels;
mod comments;
mod consumers;
mod damaged;
mod health;
mod kill_points;
mod load;
mod messages;
mod network;
mod oracle;
mod postgres;
mod readers;
mod redis;
mod refusals;
mod rolling;
mod sqlite;
mod storm;
mod time;
mod upgrade;
mod worker;
