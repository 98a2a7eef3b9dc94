# The image of verandad. `tools/image` builds it; `docker build .` does too.
#
# It holds the two programs, what they call (git for local remotes, ssh, curl for probes), the libraries of these, authorities, time zones, and nothing else: no
# shell, no package manager. It runs as user 65532, needs no capability and no writable file but /var/lib/veranda.

# Debian 12, whatever it is called where you are.
ARG BASE=debian:12

FROM ${BASE} AS build
WORKDIR /source
COPY tools/lib.sh tools/install-dependencies tools/
RUN tools/install-dependencies --image
COPY . .
# A folder of the context that has verandad and veranda already, made on the same Debian; empty: they are built here.
ARG PREBUILT=
RUN tools/image-root /image "${PREBUILT}"

FROM scratch
ARG VERSION=
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="veranda" \
      org.opencontainers.image.description="Keeps a cache of KRM package revisions in step with the git repositories that hold them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /image /
ENV PATH=/usr/bin XDG_DATA_HOME=/var/lib
USER 65532:65532
WORKDIR /var/lib/veranda
EXPOSE 7878
ENTRYPOINT ["/usr/bin/verandad"]
