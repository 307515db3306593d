//! `shakedown dlq`: dead letters of any Kafka, counted, shown, and played again.

use super::dlq_arguments::{DlqArguments, DlqCommand, ListArguments, PostArguments, ReplayArguments, ShowArguments};
use super::output;
use crate::dlq::letter::Letter;
use crate::dlq::post::Post;
use crate::dlq::replay::{Fate, Replay, Request, Which, locate};
use crate::dlq::{DlqError, display, listing};
use crate::exit::Exit;
use shakedown_reports::numbers::grouped;

pub(super) fn run(arguments: &DlqArguments) -> Exit {
    let done = match &arguments.command {
        DlqCommand::List(arguments) => list(arguments),
        DlqCommand::Show(arguments) => show(arguments),
        DlqCommand::Replay(arguments) => replay(arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        if error.is_usage() { Exit::Usage } else { Exit::Broken }
    })
}

fn open(arguments: &PostArguments) -> Result<Post, DlqError> {
    Post::open(&arguments.bootstrap, &arguments.group)
}

fn list(arguments: &ListArguments) -> Result<Exit, DlqError> {
    let piles = listing::count(&open(&arguments.post)?, arguments.topic.as_deref())?;
    Ok(output::print(&listing::table(&piles)))
}

fn show(arguments: &ShowArguments) -> Result<Exit, DlqError> {
    let post = open(&arguments.post)?;
    let topic = arguments.topic.as_str();
    let partitions = post.dead_letter_topics(Some(topic))?.get(topic).copied().unwrap_or_default();
    let memories = post.memories(topic, partitions)?;
    let is_remembered = |letter: &Letter| {
        let memory = usize::try_from(letter.partition).ok().and_then(|partition| memories.get(partition));
        memory.is_some_and(|memory| memory.has(letter.offset))
    };
    let mut stretches = Vec::new();
    for place in &arguments.offsets {
        let (partition, offset) = locate(&post, topic, partitions, *place)?;
        stretches.push((partition, offset..offset + 1));
    }
    if arguments.offsets.is_empty() {
        for partition in 0..partitions {
            stretches.push((partition, post.extent(topic, partition)?));
        }
    }
    let limit = if arguments.offsets.is_empty() { arguments.limit } else { u64::MAX };
    let (mut shown, mut exit) = (0, Exit::Pass);
    for (partition, offsets) in stretches {
        if shown >= limit {
            break;
        }
        post.read(topic, partition, offsets, &mut |letter| {
            let text = display::letter(&letter, is_remembered(&letter), arguments.payload_bytes);
            exit = exit.worst(output::print(&text));
            shown += 1;
            Ok(shown < limit)
        })?;
    }
    if shown == 0 {
        exit = exit.worst(output::print(&format!("{topic} has no letters\n")));
    }
    Ok(exit)
}

fn replay(arguments: &ReplayArguments) -> Result<Exit, DlqError> {
    let post = open(&arguments.post)?;
    let request = Request {
        topic: arguments.topic.clone(),
        which: if arguments.all { Which::All } else { Which::At(arguments.offsets.clone()) },
        to: arguments.to.clone(),
        is_rehearsal: arguments.dry_run,
    };
    let replay = Replay::prepare(&post, &request)?;
    let target = replay.target();
    let mut exit = Exit::Pass;
    let replayed = replay.run(&mut |letter, fate| {
        let fate = match fate {
            Fate::Replayed(landing) => format!("-> {target}/{} offset {}", landing.partition, landing.offset),
            Fate::WouldBe => format!("-> {target}"),
            Fate::SameEvent => "another letter of an event above".to_owned(),
            Fate::Remembered => "was replayed before".to_owned(),
            Fate::Shortened => "passed over: it has not all of its event".to_owned(),
        };
        let text = format!("{}/{} offset {}  {fate}\n", letter.topic, letter.partition, letter.offset);
        exit = exit.worst(output::print(&text));
    })?;
    let word = if arguments.dry_run { "would be sent" } else { "sent" };
    let mut text = format!("{} events {word} to {target}", grouped(replayed.sent));
    for (count, what) in [
        (replayed.same_event, "further letters of the same events"),
        (replayed.before, "letters that were replayed before"),
        (replayed.shortened, "shortened letters passed over, whose events only their producer has"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {} {what}", grouped(count)));
        }
    }
    text.push('\n');
    Ok(exit.worst(output::print(&text)))
}
