# Tocsin in a container. Alone, with its SQLite file in a volume:
#
#   docker build --tag tocsin .
#   docker run --detach --publish 9099:9099 --volume tocsin:/data --stop-timeout 40 \
#       --env TOCSIN_WEBHOOK_TOKEN=… --env TOCSIN_API_TOKEN=… tocsin
#
# It listens on every address of the container, so it refuses to start without both tokens (or
# TOCSIN_INSECURE=true, if something in front of it checks who comes in). Stopping takes up to
# `stop.delay` and `queue.drain`, 32 s, and Docker kills after 10 s if it is not told otherwise.
#
# With PostgreSQL and Redis, `tocsin ingress` and `tocsin work` are separate containers: see
# compose.yaml.

FROM rust:1-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY deploy/signoz deploy/signoz
COPY migration migration
COPY src src
COPY workers workers
# Members of the workspace that the program needs nothing of.
COPY tests/bench tests/bench
COPY tests/chain tests/chain
COPY tests/kit tests/kit
# What was downloaded and built is there again for the next build.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --bin tocsin && \
    install -D target/release/tocsin /image/tocsin && \
    mkdir /image/data

# The C library, certificates, no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/tocsin /usr/local/bin/tocsin
# A new volume takes its owner from here. A folder of the host must belong to 65532.
COPY --from=build --chown=65532:65532 /image/data /data
USER 65532:65532
# Where tocsin.db is made, and where tocsin.toml is looked for.
WORKDIR /data
VOLUME /data
ENV TOCSIN_LISTEN=0.0.0.0:9099
EXPOSE 9099
# Asks the address in TOCSIN_METRICS_LISTEN if that is set, which `work` needs for this.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/tocsin", "health"]
ENTRYPOINT ["/usr/local/bin/tocsin"]
CMD ["serve"]
