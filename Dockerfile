# One image for every process of the service; the command says which. Debian, since the Temporal SDK has no build for musl.
FROM node:24-bookworm-slim AS bundle
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY src ./src
RUN node src/bundle-workflows.ts

# Without optional packages: they are the compiler that has made the bundle, and what a machine without Docker needs.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY migrations ./migrations
COPY src ./src
COPY --from=bundle /app/workflow-bundle.js ./
USER node
EXPOSE 3000 9464
# node is process 1 itself and handles SIGTERM: no shell and no npm between it and the orchestrator
CMD ["node", "src/api.ts"]
