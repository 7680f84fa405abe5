//! The file that is measured: what a large shop has in one stack, in the spellings that people use.

use std::fmt::Write as _;

/// As the issue has it.
pub const SERVICES: usize = 200;
pub const LINES: usize = 5000;

/// What all services share.
const HEAD: &str = r#"# One stack of a shop: front ends, workers, caches, jobs and agents of every node.
version: "3.9"

x-logging: &logging
  driver: json-file
  options:
    max-size: 10m
    max-file: 3

x-environment: &environment
  TZ: Europe/Berlin
  LOG_LEVEL: ${LOG_LEVEL:-info}
  OTEL_EXPORTER_OTLP_ENDPOINT: http://collector:4317
  REGION: ${REGION:-eu-central-1}

x-update: &update
  parallelism: 2
  delay: 10s
  order: start-first
  failure_action: rollback
  monitor: 30s
  max_failure_ratio: 0.1

x-service: &service
  logging: *logging
  stop_grace_period: 30s
  cap_drop: [ALL]

services:
"#;

/// What stands under the services: enough objects that every service finds its own.
const TAIL: &str = r#"
networks:
  front:
    driver: overlay
    attachable: true
  back:
    driver: overlay
    internal: true
    driver_opts:
      encrypted: ""
  metrics:
    driver: overlay
    ipam:
      config:
        - subnet: 10.200.0.0/16

volumes:
  data:
    driver: local
    labels:
      backup: daily
  cache: {}

secrets:
  database_password:
    external: true
  api_key:
    external: true
    name: shop_api_key_v7

configs:
  nginx:
    external: true
  settings:
    external: true
"#;

/// The whole file: exactly [`SERVICES`] and [`LINES`].
pub fn text() -> String {
    let mut text = HEAD.to_owned();
    for number in 0..SERVICES {
        let service = match number % 5 {
            0 => web(number),
            1 => api(number),
            2 => worker(number),
            3 => database(number),
            _ => job(number),
        };
        text += &service;
    }
    text += TAIL;
    let missing = LINES.checked_sub(text.lines().count()).expect("the services leave room for the rest");
    (0..missing).for_each(|n| writeln!(text, "# {n}: whoever changes a service above tells its owner.").expect("a String takes all"));
    text
}

fn web(n: usize) -> String {
    format!(
        r#"  web{n}:
    <<: *service
    image: registry.example.com/shop/web{n}:${{TAG:-1.4.{n}}}
    hostname: "{{{{.Service.Name}}}}-{{{{.Task.Slot}}}}"
    environment:
      <<: *environment
      PUBLIC_URL: https://web{n}.example.com/
      CACHE_TTL: 300
    ports:
      - "{published}:8080"
      - target: 9000
        published: {metrics}
        mode: host
    networks: [front, back]
    healthcheck:
      test: ["CMD", "curl", "-fsS", "http://localhost:8080/healthz"]
      interval: 15s
      retries: 3
    configs:
      - source: nginx
        target: /etc/nginx/nginx.conf
        mode: 0444
    deploy:
      replicas: {replicas}
      update_config: *update
"#,
        published = 20_000 + n,
        metrics = 30_000 + n,
        replicas = n % 4 + 1,
    )
}

fn api(n: usize) -> String {
    format!(
        r#"  api{n}:
    <<: *service
    image: registry.example.com/shop/api{n}:${{TAG:-2.0.{n}}}
    command: ["serve", "--listen", ":8080", "--pool", "{n}"]
    environment:
      - LOG_LEVEL=${{LOG_LEVEL:-debug}}
      - DATABASE_URL=postgres://api@db{n}:5432/shop?sslmode=disable
      - FEATURES=${{FEATURES-search,cart,checkout}}
      - NODE={{{{.Node.Hostname}}}}
    secrets:
      - database_password
      - source: api_key
        target: /run/keys/api
        uid: "1000"
        mode: 0400
    networks:
      front:
        aliases: [api-{n}, api-{n}.internal]
      back: null
    labels:
      traefik.enable: "true"
      traefik.http.routers.api{n}.rule: Host(`api{n}.example.com`) && PathPrefix(`/v2`)
    deploy:
      resources: {{limits: {{cpus: "0.50", memory: 256M}}, reservations: {{memory: 64M}}}}
"#
    )
}

fn worker(n: usize) -> String {
    format!(
        r#"  worker{n}:
    <<: *service
    image: registry.example.com/shop/worker:2.{n}
    entrypoint: /bin/sh -c
    command: exec worker --queue "orders-{n}" --log $$LOG_FILE
    environment:
      <<: *environment
      LOG_FILE: /var/log/worker.log
    volumes:
      - cache:/var/cache/worker
      - /var/log/shop:/var/log:rw
      - type: tmpfs
        target: /tmp
        tmpfs:
          size: 67108864
    sysctls:
      net.core.somaxconn: 1024
    ulimits:
      nofile: {{soft: 65536, hard: 65536}}
    networks: [back]
    extra_hosts:
      - "mail.example.com:10.0.0.{host}"
    deploy:
      restart_policy: {{condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}
"#,
        host = n % 250 + 1,
    )
}

fn database(n: usize) -> String {
    format!(
        r#"  db{n}:
    image: postgres:16.{n}-alpine
    user: "70:70"
    environment:
      POSTGRES_DB: shop
      POSTGRES_USER: api
      POSTGRES_PASSWORD_FILE: /run/secrets/database_password
    secrets: [database_password]
    volumes:
      - type: volume
        source: data
        target: /var/lib/postgresql/data
        volume: {{nocopy: true}}
    networks: [back]
    deploy:
      labels: {{owner: team-{n}, backup: "yes"}}
      placement:
        constraints:
          - node.role == worker
          - node.labels.disk == ssd
        preferences: [{{spread: node.labels.zone}}]
        max_replicas_per_node: 1
      endpoint_mode: dnsrr
"#
    )
}

fn job(n: usize) -> String {
    format!(
        r#"  job{n}:
    image: registry.example.com/shop/job{n}@sha256:{n:064x}
    command: report --since "24 hours ago" --format json
    read_only: true
    init: true
    cap_add: [NET_RAW]
    dns: [10.0.0.2, 10.0.0.3]
    dns_search: shop.internal
    environment: [BATCH={n}, "TOKEN=${{TOKEN:-none}}", DRY_RUN=]
    configs: [settings]
    networks: [metrics, back]
    logging: *logging
    deploy:
      mode: replicated-job
      replicas: 2
      labels:
        - owner=reports
        - schedule=0 3 * * *
      resources:
        limits:
          cpus: "1"
          memory: 1G
          pids: 200
"#
    )
}
