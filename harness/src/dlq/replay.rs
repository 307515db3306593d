//! Sends the events of dead letters where they were first, and remembers which.
//!
//! An event is sent with its own key, headers and bytes, into the partition in which it lay, or where its key belongs if that
//! is not known any more. The group takes note of letters once their topic has acknowledged them: a replay that is broken off
//! sends a few again, and loses none. Several letters of one event, as several services write them, send it once.

use super::error::DlqError;
use super::letter::{Letter, Origin, first_topic};
use super::memory::Memory;
use super::post::Post;
use super::sender::{Landing, Outgoing, Sender};
use std::collections::HashSet;
use std::ops::Range;

/// So many letters, or bytes, are sent before the group takes note.
const BATCH_LETTERS: usize = 500;
const BATCH_BYTES: usize = 8 << 20;

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All that the group does not remember.
    All,
    /// Those at these places.
    At(Vec<Place>),
}

/// A place in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition; need not be said of a topic that has only one.
    pub partition: Option<i32>,
    /// The offset.
    pub offset: i64,
}

/// What is to be replayed.
#[derive(Debug, Clone)]
pub struct Request {
    /// The topic of dead letters.
    pub topic: String,
    /// Which of them.
    pub which: Which,
    /// Where to; by default where their events were first.
    pub to: Option<String>,
    /// Say what would be done, and do nothing.
    pub is_rehearsal: bool,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its event lies in its topic again.
    Replayed(Landing),
    /// It would be sent, but for the rehearsal.
    WouldBe,
    /// Its event was sent for another letter of this replay.
    SameEvent,
    /// The group remembers it.
    Remembered,
    /// It has not all of its event: what could be sent is something else.
    Shortened,
}

/// How a replay went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events that were sent, or would be.
    pub sent: u64,
    /// Further letters of the same events.
    pub same_event: u64,
    /// Letters that were asked for, or lie among those asked for, and were replayed before.
    pub before: u64,
    /// Letters that have not all of their events, and were passed over.
    pub shortened: u64,
}

/// A replay that can begin: its letters' topic and its target are there.
pub struct Replay<'a> {
    post: &'a Post,
    request: &'a Request,
    /// Of the letters' topic.
    partitions: i32,
    target: String,
    target_partitions: i32,
}

impl<'a> Replay<'a> {
    /// Looks both topics up.
    ///
    /// # Errors
    /// [`DlqError::NoSuchTopic`], [`DlqError::Circle`], [`DlqError::NoTarget`], and those of [`Post::topics`].
    pub fn prepare(post: &'a Post, request: &'a Request) -> Result<Self, DlqError> {
        let topic = &request.topic;
        let partitions = post.dead_letter_topics(Some(topic))?.get(topic).copied().unwrap_or_default();
        let target = request.to.as_deref().or_else(|| first_topic(topic)).unwrap_or_default().to_owned();
        if target == *topic {
            return Err(DlqError::Circle { topic: target });
        }
        match post.topics()?.get(&target) {
            Some(target_partitions) => {
                Ok(Self { post, request, partitions, target_partitions: *target_partitions, target })
            }
            None => Err(DlqError::NoTarget { target }),
        }
    }

    /// Where the events go.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Replays, and tells of each letter what became of it once that is certain.
    ///
    /// # Errors
    /// See [`DlqError`]. Whatever was sent before it is remembered, unless the error says otherwise.
    pub fn run(&self, tell: &mut dyn FnMut(&Letter, Fate)) -> Result<Replayed, DlqError> {
        let Self { post, request, partitions, target, target_partitions } = self;
        let topic = request.topic.as_str();
        let memories = post.memories(topic, *partitions)?;
        let stretches = stretches(post, request, *partitions, &memories)?;
        let sender = if request.is_rehearsal {
            None
        } else {
            post.is_free()?;
            Some(Sender::open(post.bootstrap(), target)?)
        };
        // A partition means something only in the topic that the event was in.
        let keeps_partition = first_topic(topic) == Some(target.as_str());
        let known_partitions = if keeps_partition { 0..*target_partitions } else { 0..0 };
        let mut round = Round {
            post,
            topic,
            target,
            known_partitions,
            sender,
            tell,
            batch: Vec::new(),
            batch_bytes: 0,
            events: HashSet::new(),
            replayed: Replayed::default(),
        };
        for (partition, mut memory) in (0..*partitions).zip(memories) {
            for stretch in stretches.iter().filter(|stretch| stretch.partition == partition) {
                round.play(stretch, &mut memory)?;
            }
        }
        Ok(round.replayed)
    }
}

/// What is to be read: all that is there and not behind the group, or the places that were asked for.
fn stretches(post: &Post, request: &Request, partitions: i32, memories: &[Memory]) -> Result<Vec<Stretch>, DlqError> {
    let topic = request.topic.as_str();
    match &request.which {
        Which::All => (0..partitions)
            .zip(memories)
            .map(|(partition, memory)| {
                let extent = post.extent(topic, partition)?;
                let offsets = extent.start.max(memory.next())..extent.end;
                Ok(Stretch { partition, offsets, is_the_rest: true })
            })
            .collect(),
        Which::At(places) => places
            .iter()
            .map(|place| {
                let (partition, offset) = locate(post, topic, partitions, *place)?;
                Ok(Stretch { partition, offsets: offset..offset + 1, is_the_rest: false })
            })
            .collect(),
    }
}

/// The partition of a place, at which there has to be a letter.
///
/// # Errors
/// [`DlqError::WhichPartition`], [`DlqError::NoLetter`], and [`DlqError::Kafka`].
pub fn locate(post: &Post, topic: &str, partitions: i32, place: Place) -> Result<(i32, i64), DlqError> {
    let offset = place.offset;
    let partition = match place.partition {
        Some(partition) => partition,
        None if partitions == 1 => 0,
        None => return Err(DlqError::WhichPartition { topic: topic.to_owned(), partitions, offset }),
    };
    let extent = if partition < partitions { post.extent(topic, partition)? } else { 0..0 };
    if !extent.contains(&offset) {
        let Range { start: first, end } = extent;
        return Err(DlqError::NoLetter { topic: topic.to_owned(), partition, offset, first, end });
    }
    Ok((partition, offset))
}

/// Offsets of a partition that are to be read.
#[derive(Debug, Clone)]
struct Stretch {
    partition: i32,
    offsets: Range<i64>,
    /// Whether it is all that the group does not remember, rather than a letter that was picked out.
    is_the_rest: bool,
}

/// A replay under way.
struct Round<'a> {
    post: &'a Post,
    topic: &'a str,
    target: &'a str,
    /// Partitions of the target into which events may go back; none where it is not the topic that they were in.
    known_partitions: Range<i32>,
    /// None in a rehearsal.
    sender: Option<Sender>,
    tell: &'a mut dyn FnMut(&Letter, Fate),
    /// Letters that were read and not yet sent.
    batch: Vec<Letter>,
    batch_bytes: usize,
    /// The events that were sent, or are about to be.
    events: HashSet<Origin>,
    replayed: Replayed,
}

impl Round<'_> {
    fn play(&mut self, stretch: &Stretch, memory: &mut Memory) -> Result<(), DlqError> {
        let Stretch { partition, offsets, is_the_rest } = stretch.clone();
        let (post, topic) = (self.post, self.topic);
        if is_the_rest {
            // What was before it and not replayed is gone for good.
            memory.pass(offsets.start);
        }
        let mut found = false;
        post.read(topic, partition, offsets.clone(), &mut |letter| {
            found = true;
            self.take(letter, memory)?;
            Ok(true)
        })?;
        self.flush(partition, memory)?;
        if !is_the_rest && !found {
            // It is one of those offsets within a topic that compaction or a transaction left without a letter.
            let extent = post.extent(topic, partition)?;
            let (topic, offset) = (topic.to_owned(), offsets.start);
            return Err(DlqError::NoLetter { topic, partition, offset, first: extent.start, end: extent.end });
        }
        if is_the_rest && memory.next() < offsets.end && self.sender.is_some() {
            // Nor is what is left of it letters: there is nothing to come back for.
            memory.pass(offsets.end);
            self.remember(partition, memory, 0)?;
        }
        Ok(())
    }

    /// Puts a letter into the batch, unless there is nothing to be sent for it.
    fn take(&mut self, letter: Letter, memory: &mut Memory) -> Result<(), DlqError> {
        if memory.has(letter.offset) {
            self.settle(&letter, Fate::Remembered);
            return Ok(());
        }
        self.batch_bytes += letter.size();
        let partition = letter.partition;
        self.batch.push(letter);
        if self.batch.len() >= BATCH_LETTERS || self.batch_bytes >= BATCH_BYTES {
            self.flush(partition, memory)?;
        }
        Ok(())
    }

    /// Sends the batch, and has the group take note of it.
    fn flush(&mut self, partition: i32, memory: &mut Memory) -> Result<(), DlqError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let known: Vec<Option<Fate>> = batch.iter().map(|letter| self.without_sending(letter)).collect();
        let Some(sender) = &self.sender else {
            for (letter, known) in batch.iter().zip(known) {
                self.settle(letter, known.unwrap_or(Fate::WouldBe));
            }
            return Ok(());
        };
        let mut after = memory.clone();
        batch.iter().for_each(|letter| after.insert(letter.offset));
        if !after.fits() {
            let (topic, group) = (self.topic.to_owned(), self.post.group().to_owned());
            return Err(DlqError::TooManyPicked { topic, partition, group });
        }
        let to_send = batch.iter().zip(&known).filter(|(_, known)| known.is_none());
        let (landings, failure) = sender.send(to_send.map(|(letter, _)| self.outgoing(letter)).collect());
        let mut landings = landings.into_iter();
        let mut settled = Vec::with_capacity(batch.len());
        for (letter, known) in batch.iter().zip(known) {
            let fate = known.or_else(|| landings.next().map(Fate::Replayed));
            // The first that was not taken, and whatever is behind it: its turn comes when it is run again.
            let Some(fate) = fate else { break };
            memory.insert(letter.offset);
            settled.push((letter, fate));
        }
        if !settled.is_empty() {
            self.remember(partition, memory, settled.len())?;
        }
        let next = batch.get(settled.len());
        for (letter, fate) in &settled {
            self.settle(letter, *fate);
        }
        match (failure, next) {
            (Some(source), Some(letter)) => Err(DlqError::NotTaken {
                topic: self.topic.to_owned(),
                partition,
                offset: letter.offset,
                target: self.target.to_owned(),
                done: self.replayed.sent,
                source: Box::new(source),
            }),
            _ => Ok(()),
        }
    }

    /// What becomes of a letter for which nothing is sent.
    fn without_sending(&mut self, letter: &Letter) -> Option<Fate> {
        if letter.shortened().is_some() {
            return Some(Fate::Shortened);
        }
        let is_first = letter.origin().is_none_or(|origin| self.events.insert(origin));
        (!is_first).then_some(Fate::SameEvent)
    }

    fn outgoing<'l>(&self, letter: &'l Letter) -> Outgoing<'l> {
        Outgoing {
            partition: letter.first_partition().filter(|partition| self.known_partitions.contains(partition)),
            key: letter.key.as_deref(),
            payload: letter.payload.as_deref(),
            headers: letter.original_headers(),
        }
    }

    fn settle(&mut self, letter: &Letter, fate: Fate) {
        match fate {
            Fate::Replayed(_) | Fate::WouldBe => self.replayed.sent += 1,
            Fate::SameEvent => self.replayed.same_event += 1,
            Fate::Remembered => self.replayed.before += 1,
            Fate::Shortened => self.replayed.shortened += 1,
        }
        (self.tell)(letter, fate);
    }

    fn remember(&self, partition: i32, memory: &Memory, sent: usize) -> Result<(), DlqError> {
        let taken = self.post.remember(self.topic, partition, memory);
        let (topic, group) = (self.topic.to_owned(), self.post.group().to_owned());
        taken.map_err(|source| DlqError::NotRemembered { topic, partition, sent, group, source: Box::new(source) })
    }
}
