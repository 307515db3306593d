# syntax=docker/dockerfile:1
# The tool with all services in one small image: `docker run ... shakedown service payment`, as any other user than root.

# The version is that of rust-toolchain.toml.
FROM rust:1.95.0-slim-bookworm AS build
# librdkafka is built from source.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The image's own toolchain, without what rust-toolchain.toml adds for developers.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --package shakedown --bin shakedown && \
    strip --output-file=/shakedown target/release/shakedown

# The C library of the build's Debian and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /shakedown /usr/local/bin/shakedown
USER 65532:65532
# Where SQLite's files go unless DATABASE_URL says otherwise.
WORKDIR /home/nonroot
# On every address of the container, not of the host.
ENV HTTP_ADDR=0.0.0.0:8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["shakedown", "service", "--is-ready"]
ENTRYPOINT ["shakedown"]
CMD ["--help"]
