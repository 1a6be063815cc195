//! The pages: who may see and do what, what changes while one looks, and that everybody can use them.

mod at_work;
mod below;
mod everybody;
mod guarded;
mod listed;
mod live;
mod quick;
mod standing;
mod timeline;
mod told;
