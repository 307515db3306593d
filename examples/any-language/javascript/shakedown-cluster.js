// A cluster for the length of a test: starts `shakedown cluster`, and talks to its control API.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export class Cluster {
  // Three brokers within milliseconds; they end with `stop`, or with this process.
  static async start(...args) {
    const executable = process.env.SHAKEDOWN ?? 'shakedown'
    const child = spawn(executable, ['cluster', '--control', '127.0.0.1:0', ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    return new Cluster(child, JSON.parse(line))
  }

  constructor(child, about) {
    this.child = child
    this.brokers = about.bootstrap_servers.split(',')
    this.control = about.control
  }

  async stop() {
    const ended = once(this.child, 'exit')
    this.child.stdin.end()
    await ended
  }

  // One request to the control API; `GET /openapi.json` describes them.
  async ask(method, path, body) {
    const response = await fetch(this.control + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text)
  }

  async leader(topic, partition) {
    return (await this.ask('GET', `/v1/topics/${topic}/partitions/${partition}`)).leader
  }

  // `strike('kill', 'leader(orders/0)')`: the nodes that it hit.
  async strike(fault, role) {
    return (await this.ask('POST', '/v1/faults', { fault, role })).nodes
  }

  // Puts a rule for requests into force; its number.
  async rule(effect, selector) {
    return (await this.ask('POST', '/v1/rules', { ...selector, effect })).id
  }

  async hits(rule) {
    return (await this.ask('GET', `/v1/rules/${rule}`)).hits
  }
}
