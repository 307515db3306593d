//! SIGINT and SIGTERM: the first asks for an end in good order, the second insists.

use crate::stop::StopFlag;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Raises the flag at the first SIGINT or SIGTERM, and has that told. At the second the process ends at once, with the code
/// that a shell reports for Ctrl-C; whoever started other processes needs somebody to see to them then.
///
/// # Errors
/// When the system does not let signals be handled.
pub fn raise_on_signal(flag: StopFlag, tell: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if flag.is_stopped() {
                    std::process::exit(INTERRUPTED);
                }
                flag.stop();
                tell();
            }
        });
    })?;
    Ok(())
}
