//! The scenario language as it is written: TOML with places, so that every error can point into the file.
//!
//! Reading order: [`document`] (a TOML file as a tree that knows where everything stands), [`problem`] (what is said
//! when something is wrong), [`setting`] (how a type is read and described, from one declaration), [`quantity`], [`size`]
//! and [`reference`] (the small types inside strings), [`raw`] (the keys themselves) with [`raw_faults`],
//! [`raw_interventions`], [`raw_equipment`], [`raw_arrivals`], [`raw_messages`], [`raw_http`], [`raw_stand_ins`],
//! [`raw_books`] and [`bounds`] (those of expectations on groups), [`schema`] (the same keys as a JSON Schema).
//!
//! Nothing here knows what a name refers to or whether two keys fit together: that is [`crate::scenario`].

pub mod bounds;
pub mod document;
pub mod names;
pub mod problem;
pub mod protocol;
pub mod quantity;
pub mod raw;
pub mod raw_arrivals;
pub mod raw_books;
pub mod raw_equipment;
pub mod raw_faults;
pub mod raw_http;
pub mod raw_interventions;
pub mod raw_messages;
pub mod raw_operations;
pub mod raw_stand_ins;
pub mod reference;
pub mod schema;
pub mod setting;
pub mod size;
