//! The binary streams of a run directory: `operations.bin`, `deliveries-<n>.bin`, `commits.bin` and `readings.bin`.
//!
//! A stream is a head, blocks of entries each under a CRC, and a closing mark that says how many entries
//! there are. Blocks are appended whole, so that whatever `kill -9` leaves is a readable beginning and at most one torn
//! block; the missing closing mark then says that there was more to come. `layout` draws the bytes, `deltas` those of an entry.

mod background;
mod deltas;
mod entry;
mod layout;
mod reader;
mod watched;
mod writer;

pub use background::BackgroundWriter;
pub use entry::Entry;
pub(crate) use reader::StreamFile;
pub use writer::{CommitWriter, DeliveryWriter, EntryWriter, OperationWriter, ReadingWriter};
