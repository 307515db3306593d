//! A partition's log on its leader: [`store`] keeps batches, [`producer_state`] decides about sequences,
//! [`partition`] puts both together and owns the high watermark.

pub mod partition;
pub mod producer_state;
pub mod store;
