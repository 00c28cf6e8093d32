# The development chain: anvil from npm, funded with publicly known keys. Never part of production.
#
#   docker build --file deploy/images/devchain.Dockerfile contracts/evm

FROM node:24-slim
WORKDIR /opt/devchain
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund --ignore-scripts \
    && install --directory --owner=10001 --group=10001 /state
USER 10001:10001
EXPOSE 8545
HEALTHCHECK --interval=2s --timeout=3s --start-period=10s --retries=5 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8545', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\"}'}).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/opt/devchain/node_modules/.bin/anvil"]
CMD ["--host", "0.0.0.0", "--chain-id", "31337", "--block-time", "1", "--state", "/state/chain.json", "--state-interval", "1"]
