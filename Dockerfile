# syntax=docker/dockerfile:1

FROM rust:1-slim-bookworm AS builder
WORKDIR /build

# The dependencies change seldom: they are built against an empty crate, in a layer that a change of the source keeps.
# The benchmarks that the manifest names are never built here and stay empty.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src benches/gateway benches/parts \
 && echo 'fn main() {}' | tee src/main.rs benches/gateway/main.rs > benches/parts/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked \
 && rm -r src

# Compiled in: the pages' style and script, the migrations, the catalogue and the default configuration.
COPY assets assets
COPY migrations migrations
COPY config config
COPY src src
# Cargo goes by time stamps, and the empty crate may be younger than the source.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin turnpike

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Turnpike" \
      org.opencontainers.image.description="A self-hosted, OpenAI-compatible gateway to every model provider: it routes, and it bills." \
      org.opencontainers.image.licenses="Apache-2.0"

# TLS brings its own roots and SQLite is linked in, so the base needs no package more. A fixed number lets an operator
# hand a bind mount to the user.
RUN groupadd --gid 10001 turnpike \
 && useradd --uid 10001 --gid turnpike --no-create-home --home-dir /data --shell /usr/sbin/nologin turnpike \
 && install -d -o turnpike -g turnpike -m 0700 /data
COPY LICENSE /usr/share/doc/turnpike/LICENSE
COPY --from=builder /build/target/release/turnpike /usr/local/bin/turnpike

USER 10001:10001
WORKDIR /data
ENV TURNPIKE_LISTEN=0.0.0.0:8080 \
    TURNPIKE_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# The binary asks itself, as the image has no curl.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["turnpike", "health"]
ENTRYPOINT ["turnpike"]
