//! The stores that a test runs on, and the macros that write a test once and run it on each.

/// What a test runs on: a database, or a database and Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
    Fleet,
}

/// Writes each test once and runs it on both databases.
#[macro_export]
macro_rules! on_both {
    ($(async fn $name:ident($on:ident) $body:block)*) => {
        $crate::on!(sqlite Sqlite: $($name)*);
        $crate::on!(postgres Postgres: $($name)*);
        $( async fn $name($on: $crate::harness::On) $body )*
    };
}

/// Writes each test once and runs it on all three combinations.
#[macro_export]
macro_rules! on_all {
    ($(async fn $name:ident($on:ident) $body:block)*) => {
        $crate::on!(sqlite Sqlite: $($name)*);
        $crate::on!(postgres Postgres: $($name)*);
        $crate::on!(fleet Fleet: $($name)*);
        $( async fn $name($on: $crate::harness::On) $body )*
    };
}

/// Writes each test once and runs it on the combinations that serve several processes.
#[macro_export]
macro_rules! on_servers {
    ($(async fn $name:ident($on:ident) $body:block)*) => {
        $crate::on!(postgres Postgres: $($name)*);
        $crate::on!(fleet Fleet: $($name)*);
        $( async fn $name($on: $crate::harness::On) $body )*
    };
}

/// Tests of one combination, in a module of its name.
#[macro_export]
macro_rules! on {
    ($module:ident $on:ident: $($name:ident)*) => {
        mod $module {
            $( #[tokio::test(flavor = "multi_thread")]
               async fn $name() { super::$name($crate::harness::On::$on).await } )*
        }
    };
}
