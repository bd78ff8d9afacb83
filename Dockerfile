# A static binary on distroless: no shell, not root. The data directory is a volume.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /citymarket . && mkdir /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /citymarket /citymarket
COPY --from=build --chown=nonroot:nonroot /data /data
ENV CITYMARKET_ADDR=0.0.0.0:8080 CITYMARKET_DATA=/data GOMEMLIMIT=700MiB
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/citymarket"]
