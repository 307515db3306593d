//! The checks under attack: histories written by hand that each must convict, mutations of clean histories that must
//! be convicted by exactly the right checks, and a naive oracle that must agree on anything.

mod book_convictions;
mod book_mutations;
mod convictions;
mod groups;
mod history;
mod mutations;
mod oracle;
mod oracle_agrees;
mod outages;
mod shop;
mod side_by_side;
mod standstills;
mod watched;
mod watched_mutations;
mod watched_oracle;
