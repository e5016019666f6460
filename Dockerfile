# Builds ebbflow and leaves all that built it behind; runs as a user without rights.
FROM rust:1.95.0-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential libssl-dev zlib1g-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin ebbflow

FROM debian:bookworm-slim
# curl asks the health checks, and /customers from within.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ebbflow
COPY --from=build /build/target/release/ebbflow /usr/local/bin/ebbflow
# librdkafka allocates with the C library: each further arena is megabytes that stay.
ENV MALLOC_ARENA_MAX=2
USER 10001
# Probes and metrics, where the config lets them listen on more than loopback.
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["ebbflow"]
CMD ["--help"]
