//! A connection in bad weather: its answers are under way for a while, its bytes go slowly, or it breaks.
//!
//! The slow twins of what [`super`] does at full speed, used while any rule stands and until nothing is under way any more.
//! Requests are taken and carried out while earlier answers are still under way, as the network delays them and not the
//! node; no more of them than a system's buffers would hold.
//!
//! Their futures are boxed where they are called: what happens to few connections must not make the state of all larger.

use super::{Connection, ConnectionError, FRAME_MAX, PIPELINE_MAX, READ_AT_LEAST, left};
use crate::chance::Draws;
use crate::links::Delay;
use crate::mailbox::Mailbox;
use crate::weather::{Outbox, Pace, Passage, Weather, piece};
use bytes::{BufMut, BytesMut};
use shakedown_broker::wire::response::Response;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// How many bytes of answers may be under way, before the next request has to wait: what a system's send buffer holds.
const UNDER_WAY_MAX: usize = 1024 * 1024;

/// What bad weather keeps of a connection.
#[derive(Default)]
pub(super) struct Weathered {
    outbox: Outbox,
    intake: Pace,
    /// From the first answer on: only then is it known who the client is.
    draws: Option<Draws>,
}

impl Weathered {
    fn of(kept: &mut Option<Box<Self>>) -> &mut Self {
        kept.get_or_insert_default()
    }

    /// How late the next answer is.
    fn lateness(&mut self, delay: Option<Delay>, weather: &Weather, mailbox: &Mailbox) -> Duration {
        let draws = self.draws.get_or_insert_with(|| weather.draws(mailbox));
        delay.map_or(Duration::ZERO, |delay| delay.draw(draws))
    }
}

impl Connection {
    /// Whether any rule stands, or the last ones have left something under way.
    pub(super) fn is_weathered(&self) -> bool {
        !self.shell.weather.is_calm() || self.under_way() > 0
    }

    fn under_way(&self) -> usize {
        self.weathered.as_ref().map_or(0, |weathered| weathered.outbox.len())
    }

    /// The client says its name with its first request, and rules may have waited for it.
    pub(super) async fn introduce(&self, client_id: Option<&str>) {
        if let Some(client_id) = client_id {
            self.mailbox.introduce(client_id);
            self.shell.weather.meet(&self.mailbox);
            if self.mailbox.is_silent() {
                // This very request must not reach the node.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Puts an answer on its way. An answer that nothing happens to goes the usual one.
    pub(super) async fn answer_weathered(&mut self, response: &Response) -> Result<(), ConnectionError> {
        let passage = self.shell.weather.pass(&self.mailbox);
        let is_narrow = self.shell.weather.rate(&self.mailbox).is_some();
        if !is_narrow && self.under_way() == 0 && passage == Passage::default() {
            return self.encode(response);
        }
        // Answers from before the weather turned are not part of this one.
        self.flush().await?;
        self.encode(response)?;
        let pieces = self.output.take();
        let weathered = Weathered::of(&mut self.weathered);
        let delay = weathered.lateness(passage.delay, &self.shell.weather, &self.mailbox);
        let arrives = passage.reset_after.map_or(usize::MAX, |after| usize::try_from(after).unwrap_or(usize::MAX));
        weathered.outbox.push(Instant::now(), delay, pieces, arrives);
        if passage.reset_after.is_some() {
            self.carry_all().await?;
            return Err(ConnectionError::Reset);
        }
        while self.under_way() > UNDER_WAY_MAX {
            self.carry().await?;
        }
        Ok(())
    }

    /// As [`Connection::read`], while answers go on their way. What has been taken in counts once it has had its time, even if
    /// it was taken in before the weather turned.
    pub(super) async fn read_weathered(&mut self, mut taken_in: Option<usize>) -> Result<bool, ConnectionError> {
        self.charge(taken_in);
        loop {
            let Self { shell, mailbox, socket, input, weathered, .. } = self;
            let Weathered { outbox, intake, .. } = Weathered::of(weathered);
            intake.set_rate(shell.weather.rate(mailbox));
            let read = tokio::select! {
                biased;
                carried = carry(socket, outbox, &shell.weather, mailbox) => carried.map(|()| None)?,
                () = intake.free(), if taken_in.is_some() => return Ok(taken_in != Some(0)),
                read = take_in(socket, input, intake, &shell.weather, mailbox), if taken_in.is_none() => Some(read?),
            };
            taken_in = taken_in.or(read);
            self.charge(read);
        }
    }

    /// As [`Connection::wait`], while answers go on their way.
    pub(super) async fn wait_weathered(&mut self) -> Result<(), ConnectionError> {
        let Self { shell, mailbox, socket, input, weathered, .. } = self;
        let Weathered { outbox, intake, .. } = Weathered::of(weathered);
        intake.set_rate(shell.weather.rate(mailbox));
        let may_read = input.len() < PIPELINE_MAX;
        let read = tokio::select! {
            biased;
            () = mailbox.filled.notified() => None,
            carried = carry(socket, outbox, &shell.weather, mailbox) => carried.map(|()| None)?,
            read = take_in(socket, input, intake, &shell.weather, mailbox), if may_read => Some(read?),
            gone = left(socket), if !may_read => gone.map(|()| Some(0))?,
        };
        self.charge(read);
        if read == Some(0) {
            self.carry_all().await?;
            return Err(self.end());
        }
        Ok(())
    }

    /// What has been read takes its time on a narrow connection: the next bytes have to wait for it.
    fn charge(&mut self, read: Option<usize>) {
        let Self { shell, mailbox, weathered, .. } = self;
        if let (Some(count), Some(rate)) = (read, shell.weather.rate(mailbox)) {
            Weathered::of(weathered).intake.take(Instant::now(), count, rate);
            shell.weather.count_piece(mailbox);
        }
    }

    /// Waits until nothing is under way.
    pub(super) async fn carry_all(&mut self) -> Result<(), ConnectionError> {
        while self.under_way() > 0 {
            self.carry().await?;
        }
        Ok(())
    }

    async fn carry(&mut self) -> Result<(), ConnectionError> {
        let Self { shell, mailbox, socket, weathered, .. } = self;
        let outbox = &mut Weathered::of(weathered).outbox;
        Ok(carry(socket, outbox, &shell.weather, mailbox).await?)
    }

    /// The connection has ended; its socket is closed as much later as a rule says.
    pub(super) async fn close_slowly(&self) {
        if let Some((by, undone)) = self.shell.weather.slow_close(&self.mailbox) {
            // However it ends, the socket is closed then.
            drop(tokio::time::timeout(by, undone.wait()).await);
        }
    }

    /// Ends the connection with a reset, whatever lies in the system's buffers.
    pub(super) fn reset(&self) {
        // A socket that is broken already has nothing to reset.
        drop(self.socket.set_zero_linger());
    }
}

/// Sends the next piece of what is under way, as soon as it may go. Ends with nothing done when rules have gone: it may go
/// earlier then.
///
/// # Cancel safety
/// What has not been written stays in the outbox.
async fn carry(socket: &TcpStream, outbox: &mut Outbox, weather: &Weather, mailbox: &Mailbox) -> io::Result<()> {
    if !weather.is_slow(mailbox) {
        outbox.hurry(Instant::now());
    }
    outbox.set_rate(weather.rate(mailbox));
    let next_at = outbox.next_at();
    tokio::select! {
        biased;
        () = sleep_until(next_at.unwrap_or_else(Instant::now)), if next_at.is_some() => {}
        () = weather.cleared() => return Ok(()),
    }
    loop {
        socket.writable().await?;
        let rate = weather.rate(mailbox);
        match socket.try_write(outbox.next_piece(rate)) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                outbox.sent(Instant::now(), count, rate);
                if rate.is_some() {
                    weather.count_piece(mailbox);
                }
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads what is there, as soon as it may come; how much that was, and nothing at the end.
///
/// # Cancel safety
/// What has been read is in the input.
async fn take_in(
    socket: &TcpStream,
    input: &mut BytesMut,
    pace: &Pace,
    weather: &Weather,
    mailbox: &Mailbox,
) -> io::Result<usize> {
    pace.free().await;
    input.reserve(input.len().clamp(READ_AT_LEAST, FRAME_MAX));
    loop {
        socket.readable().await?;
        match socket.try_read_buf(&mut (&mut *input).limit(piece(weather.rate(mailbox)))) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Mailboxes;

    #[test]
    fn a_client_draws_by_its_name_even_if_the_weather_was_bad_before_it_said_it() {
        let weather = Weather::new(7);
        let second = Duration::from_secs(1);
        let (_, mailbox) = Mailboxes::default().open(0, 1);
        let mut kept = None;
        // As the first read does.
        Weathered::of(&mut kept).intake.set_rate(weather.rate(&mailbox));
        mailbox.introduce("payment");
        let delay = Delay { by: second, jitter: second };
        let lateness = Weathered::of(&mut kept).lateness(Some(delay), &weather, &mailbox);
        let (_, named) = Mailboxes::default().open(0, 2);
        named.introduce("payment");
        assert_eq!(lateness, delay.draw(&mut weather.draws(&named)));
    }
}
