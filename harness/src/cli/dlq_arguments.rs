//! What may be typed behind `shakedown dlq`.

use super::arguments::servers;
use crate::dlq::replay::Place;
use clap::{ArgGroup, Args, Subcommand};

/// `shakedown dlq`.
#[derive(Debug, Args)]
pub struct DlqArguments {
    /// What to do with them.
    #[command(subcommand)]
    pub command: DlqCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Count them by topic, service and reason
    ///
    /// Dead letters are events that a service could not handle. They lie on topics called TOPIC.dlq, with the reason in headers.
    List(ListArguments),
    /// Show letters: where they come from, the reason, key, headers and bytes
    Show(ShowArguments),
    /// Send their events where they were first, with their own key, headers and bytes
    ///
    /// At least once: a group remembers what was sent once it is acknowledged, so that a second replay sends nothing twice. One
    /// that is broken off may have sent a few that it does not remember. Run one at a time.
    Replay(ReplayArguments),
}

/// Which cluster, and who remembers.
#[derive(Debug, Args)]
pub struct PostArguments {
    /// The servers of the cluster, with commas between them
    #[arg(long, value_name = "HOST:PORT,...", value_parser = servers)]
    pub bootstrap: String,
    /// The group that remembers which letters were replayed; nobody else may use it
    #[arg(long, value_name = "NAME", default_value = "shakedown-dlq")]
    pub group: String,
}

/// `shakedown dlq list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Where.
    #[command(flatten)]
    pub post: PostArguments,
    /// This topic of dead letters only, such as orders.dlq
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
}

/// `shakedown dlq show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Where.
    #[command(flatten)]
    pub post: PostArguments,
    /// The topic of dead letters, such as orders.dlq
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,
    /// The letter here, such as 2:41 for offset 41 of partition 2; may be repeated
    #[arg(long = "offset", value_name = "PARTITION:OFFSET", value_parser = place)]
    pub offsets: Vec<Place>,
    /// How many are shown, from the beginning of each partition, if no offset is said
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// How many bytes of a payload are shown
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub payload_bytes: usize,
}

/// `shakedown dlq replay`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["offsets", "all"]))]
pub struct ReplayArguments {
    /// Where.
    #[command(flatten)]
    pub post: PostArguments,
    /// The topic of dead letters, such as orders.dlq
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,
    /// The letter here, such as 2:41 for offset 41 of partition 2; may be repeated
    #[arg(long = "offset", value_name = "PARTITION:OFFSET", value_parser = place)]
    pub offsets: Vec<Place>,
    /// All letters that were not replayed yet
    #[arg(long)]
    pub all: bool,
    /// Send them to this topic instead of the one that the letters' topic is named after
    #[arg(long, value_name = "TOPIC")]
    pub to: Option<String>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `2:41`, or `41` where there is one partition only.
fn place(text: &str) -> Result<Place, String> {
    let wrong = || "write PARTITION:OFFSET, such as 2:41; a topic of one partition needs no PARTITION".to_owned();
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(()).ok_or_else(wrong);
    let (partition, offset) = match text.split_once(':') {
        Some((partition, offset)) => {
            number(partition)?;
            (Some(partition.parse().map_err(|_| wrong())?), offset)
        }
        None => (None, text),
    };
    number(offset)?;
    Ok(Place { partition, offset: offset.parse().map_err(|_| wrong())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_partition_and_an_offset() {
        assert_eq!(place("2:41"), Ok(Place { partition: Some(2), offset: 41 }));
        assert_eq!(place("41"), Ok(Place { partition: None, offset: 41 }));
        for wrong in ["", ":", "2:", ":41", "-1", "2:-1", "+2:1", "a:1", "1:2:3", "99999999999:1"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
