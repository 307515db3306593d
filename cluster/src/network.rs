//! The simple calls for the network: each stays in place until it is mended.
//!
//! Every one of them is a fault of [`crate::links`] or [`crate::weather`], which [`Cluster::inject`] takes as well: there a
//! guard counts what it does, and undoes it.

use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::links::{Delay, LinkFault, LinkSet, Links};
use crate::weather::{ClientEffect, ClientFault};

impl Cluster {
    /// Cuts the link between two nodes, both ways. What is under way between them is lost, as with a connection that
    /// breaks. Clients still reach both.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn cut(&self, one: i32, other: i32) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Cut(LinkSet::Between(one, other)))
    }

    /// As [`Self::cut`], one way: `to` does not hear `from` any more, which still hears it.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn cut_one_way(&self, from: i32, to: i32) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Cut(LinkSet::OneWay { from, to }))
    }

    /// Cuts a node off from all others. Clients still reach it.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn isolate(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.isolate(id))
    }

    /// Parts the nodes into groups that do not hear each other. A node in two groups hears both; nodes in none are one more
    /// group. Clients still reach all.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn partition(&self, groups: &[&[i32]]) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Cut(LinkSet::Across(groups.iter().map(|group| group.to_vec()).collect())))
    }

    /// Parts the nodes into two halves that hear each other only through this one, which hears both.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn bridge(&self, id: i32) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Cut(LinkSet::Bridge(id)))
    }

    /// Lets each node hear only its two neighbours, where all stand in a ring by id.
    ///
    /// # Errors
    /// When the cluster has ended.
    pub fn ring(&self) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Cut(LinkSet::Ring))
    }

    /// Delays what two nodes say to each other, each way by so much. A later call for the same link counts instead.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn delay(&self, one: i32, other: i32, delay: Delay) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Delay(LinkSet::Between(one, other), delay))
    }

    /// As [`Self::delay`], one way.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn delay_one_way(&self, from: i32, to: i32, delay: Delay) -> Result<(), FaultError> {
        self.keep_links(LinkFault::Delay(LinkSet::OneWay { from, to }, delay))
    }

    /// Mends every link of a node.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn reconnect(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.reconnect(id))
    }

    /// Cuts clients off from a node, which still hears the others: see [`ClientEffect::Cut`].
    ///
    /// # Errors
    /// When there is no such node.
    pub fn cut_clients(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| shell.keep_weather(ClientFault::new(ClientEffect::Cut).at(id)))
    }

    /// Undoes everything that is done to clients' connections at one node. What is done at every node stays.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn reconnect_clients(&self, id: i32) -> Result<(), FaultError> {
        self.order(move |shell| {
            let node = shell.place(id)?;
            shell.clear_weather_at(node);
            Ok(())
        })
    }

    /// Mends the whole network: every link between nodes, and every connection of clients. Guards of such faults have
    /// nothing to undo any more. What was delayed and not lost arrives at once.
    pub fn heal(&self) {
        self.thread.ask(|shell| {
            shell.mend_links(Links::heal);
            shell.clear_weather(|_| true);
        });
    }

    fn keep_links(&self, fault: LinkFault) -> Result<(), FaultError> {
        self.order(move |shell| shell.keep_links(&fault))
    }
}
