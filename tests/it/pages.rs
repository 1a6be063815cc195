//! The pages: who may see and do what, what changes while one looks, and that everybody can use them.

mod access;
mod accessibility;
mod attention;
mod details;
mod listed;
mod live;
mod on_call;
mod path_prefix;
mod performance;
mod services;
mod system;
mod timeline;
