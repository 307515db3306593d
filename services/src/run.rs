//! The life of a service's process: read the environment, start, serve until a signal, stop in order.

use crate::config::Environment;
use crate::error::RunError;
use crate::failpoint::Failpoint;
use crate::http;
use crate::kafka::{CommitTime, KafkaSettings};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::service::{Context, Running, Service};
use crate::stop::Stop;
use crate::telemetry;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tracing::{error, info, warn};

/// From the signal to the exit. Kubernetes waits 30 s by default before it kills; rolling updates want far less.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Async work is short (HTTP, store, mailbox calls); the Kafka client has threads of its own.
const RUNTIME_THREADS: usize = 2;

/// Runs the service of this name, configured by the environment, until SIGTERM or SIGINT.
///
/// Returns the code to exit with: 0 after a clean stop, 1 when the service failed, 2 when the name is not one of
/// [`NAMES`](crate::NAMES) or a variable has a value that is not allowed. Failures are explained on standard error.
#[must_use]
pub fn run(name: &str) -> ExitCode {
    match run_until_stopped(name, &Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!(error = %failure, "service failed");
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

fn run_until_stopped(name: &str, environment: &Environment) -> Result<(), RunError> {
    let service = Service::named(name)?;
    telemetry::install(service.name(), environment.choice("LOG_LEVEL", &telemetry::LEVELS)?);
    let kafka = KafkaSettings::read(service.name(), environment)?;
    let address = environment.parse(
        "HTTP_ADDR",
        SocketAddr::from(([127, 0, 0, 1], 0)),
        "an address and a port, such as 127.0.0.1:8080; port 0 takes a free one",
        |_| true,
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let context = Context {
        kafka,
        commit: CommitTime::read(environment)?,
        failpoint: Failpoint::read(environment)?,
        metrics: Metrics::new(),
        readiness: Readiness::default(),
        stop: Stop::new(),
        runtime: runtime.handle().clone(),
    };
    let result = runtime.block_on(serve(service, environment, &context, address));
    // Whatever still runs has been given its time.
    runtime.shutdown_background();
    result
}

async fn serve(
    service: Service,
    environment: &Environment,
    context: &Context,
    address: SocketAddr,
) -> Result<(), RunError> {
    for variable in &context.kafka.unknown {
        warn!(variable, "ignored: the Kafka client has no property of this name");
    }
    // Before any work begins, so that a signal during the start is not lost.
    let mut signals = Signals::listen().map_err(RunError::Signals)?;
    let listener = http::bind(address).await?;
    let Running { routes, mut worker } = service.start(environment, context).await?;
    http::spawn(listener, routes, context);

    tokio::select! {
        signal = signals.next() => info!(signal, "stopping"),
        ended = worker.ended() => {
            ended?;
            return Err(RunError::WorkerEnded { worker: worker.name() });
        }
    }
    context.stop.request();
    match tokio::time::timeout(STOP_TIMEOUT, worker.ended()).await {
        Ok(ended) => ended?,
        Err(_) => {
            return Err(RunError::StopTimeout { worker: worker.name(), seconds: STOP_TIMEOUT.as_secs() });
        }
    }
    info!("stopped");
    Ok(())
}

/// The signals that ask a process to stop.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> &'static str {
        // An error would mean that no interrupt can ever arrive; the process is then stopped by its supervisor.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "interrupt"
    }
}
