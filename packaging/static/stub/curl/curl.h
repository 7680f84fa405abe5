/* librdkafka includes this header even when it is built without curl, and uses nothing of it. */
