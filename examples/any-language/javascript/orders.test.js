// What a checkout must survive, seen through KafkaJS.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { Cluster } from './shakedown-cluster.js'

const ORDERS = Array.from({ length: 10 }, (_, number) => `order-${number}`)

// Sends all orders, one in a request, and waits until each is acknowledged.
async function produce(kafka, idempotent) {
  const producer = kafka.producer({ idempotent })
  await producer.connect()
  for (const value of ORDERS) await producer.send({ topic: 'orders', messages: [{ value, partition: 0 }] })
  await producer.disconnect()
}

// Reads the topic from its beginning.
async function consume(kafka, count) {
  const consumer = kafka.consumer({ groupId: 'warehouse' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  const seen = []
  await new Promise((resolve, reject) => {
    consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
    consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(message.value.toString())
        if (seen.length === count) resolve()
      },
    })
  })
  await consumer.disconnect()
  return seen
}

async function withOrders(test) {
  const cluster = await Cluster.start()
  const kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1, replicationFactor: 3 }] })
  await admin.disconnect()
  try {
    await test(cluster, kafka)
  } finally {
    await cluster.stop()
  }
}

test('no order is lost with its leader', () =>
  withOrders(async (cluster, kafka) => {
    const before = await cluster.leader('orders', 0)
    await produce(kafka, true)
    assert.deepEqual(await cluster.strike('kill', 'leader(orders/0)'), [before])
    assert.deepEqual(await consume(kafka, ORDERS.length), ORDERS)
    assert.notEqual(await cluster.leader('orders', 0), before)
  }))

for (const [idempotent, copies] of [[false, 2], [true, 1]]) {
  test(`a lost acknowledgement writes an order ${copies} times, idempotent: ${idempotent}`, () =>
    withOrders(async (cluster, kafka) => {
      const rule = await cluster.rule({ 'hang-up': { applied: true } }, { api: 'Produce', topic: 'orders', nth: 3 })
      await produce(kafka, idempotent)
      assert.equal(await cluster.hits(rule), 1)
      const seen = await consume(kafka, ORDERS.length + copies - 1)
      assert.equal(seen.filter((order) => order === 'order-2').length, copies)
    }))
}
