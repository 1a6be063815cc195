//! What people do, wherever they do it: by the API, on a page, or by a button. Each deed is done and
//! written into the audit in the transaction that it is given.

pub mod mute;
