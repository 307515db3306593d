//! From what the files say to a scenario that can be run; every dangling name and missing datum is an error here.
//!
//! Each part has its file: [`topics`], [`services`], [`flows`], [`load`], [`faults`] with what each of
//! them does ([`deeds`]) and when ([`triggers`]), those on [`requests`], other [`disturbances`] and [`interventions`], [`expect`] with those on [`groups`],
//! [`books`] and the rules over them ([`book_rules`]).

mod book_rules;
mod books;
mod deeds;
mod disturbances;
mod expect;
mod faults;
mod flows;
mod groups;
mod interventions;
mod load;
mod operations;
mod requests;
mod scope;
mod services;
mod topics;
mod triggers;

mod scenario;

pub use scenario::{Capabilities, scenario};

#[cfg(test)]
mod back_ends;
#[cfg(test)]
mod book_messages;
#[cfg(test)]
mod fault_messages;
#[cfg(test)]
mod messages;
