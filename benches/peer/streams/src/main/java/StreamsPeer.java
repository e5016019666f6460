import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.Stores;

/**
 * RFM segments with Kafka Streams: the Processor API, a store in memory with its changelog,
 * exactly_once_v2.
 *
 * <p>Arguments: bootstrap servers, application id, input topic, output topic, file of
 * {@link Segments}, folder of its own, milliseconds between commits. Runs until it is told to end.
 */
public final class StreamsPeer {
  public static void main(String[] arguments) throws Exception {
    String bootstrap = arguments[0];
    String application = arguments[1];
    String input = arguments[2];
    String output = arguments[3];
    Segments segments = new Segments(Path.of(arguments[4]));

    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[5]);
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[6]);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    properties.put("enable.metrics.push", "false");
    // What was fastest of what was tried; docs/performance.md has the figures.
    properties.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
    properties.put(StreamsConfig.consumerPrefix("max.poll.records"), 10_000);
    properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    properties.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6_000);
    properties.put(StreamsConfig.producerPrefix("linger.ms"), 100);
    properties.put(StreamsConfig.producerPrefix("batch.size"), 131_072);
    properties.put(StreamsConfig.producerPrefix("buffer.memory"), 134_217_728);

    var customers =
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore(RfmProcessor.STORE),
                Serdes.ByteArray(),
                Serdes.serdeFrom(new Customer.Writer(), new Customer.Reader()))
            .withLoggingEnabled(Map.of())
            .withCachingDisabled();
    ProcessorSupplier<byte[], byte[], byte[], byte[]> processor = () -> new RfmProcessor(segments);
    Topology topology = new Topology();
    var reader = new ByteArrayDeserializer();
    topology.addSource("purchases", reader, reader, input);
    topology.addProcessor("rfm", processor, "purchases");
    topology.addStateStore(customers, "rfm");
    topology.addSink(
        "changes", output, new ByteArraySerializer(), new ByteArraySerializer(), "rfm");

    KafkaStreams streams = new KafkaStreams(topology, properties);
    CountDownLatch ended = new CountDownLatch(1);
    streams.setStateListener(
        (state, before) -> {
          if (state == KafkaStreams.State.ERROR) {
            ended.countDown();
          }
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    ended.await();
    System.exit(1);
  }
}
