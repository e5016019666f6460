import java.nio.charset.StandardCharsets;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Every purchase into its customer; a change where the segment is another one.
 *
 * <p>The time of the stream is the latest of all events, as a punctuator would have it; that
 * customers age without an event of theirs is left out, which is in favour of this program.
 */
final class RfmProcessor implements Processor<byte[], byte[], byte[], byte[]> {
  static final String STORE = "customers";

  private final Segments segments;
  private final Purchase purchase = new Purchase();
  private final StringBuilder text = new StringBuilder(512);
  private ProcessorContext<byte[], byte[]> context;
  private KeyValueStore<byte[], Customer> customers;
  private long clockMs = Long.MIN_VALUE;

  RfmProcessor(Segments segments) {
    this.segments = segments;
  }

  @Override
  public void init(ProcessorContext<byte[], byte[]> context) {
    this.context = context;
    customers = context.getStateStore(STORE);
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    purchase.read(record.value());
    clockMs = Math.max(clockMs, purchase.occurredAtMs);
    Customer customer = customers.get(record.key());
    if (customer == null) {
      customer = new Customer();
    }
    if (!customer.remember(purchase.eventHash)) {
      return;
    }
    if (purchase.isRefund) {
      customer.netMinor -= purchase.amountMinor;
    } else {
      customer.orders++;
      customer.netMinor += purchase.amountMinor;
      customer.lastOrderAtMs = Math.max(customer.lastOrderAtMs, purchase.occurredAtMs);
    }
    int r = segments.r(clockMs - customer.lastOrderAtMs);
    int f = segments.f(customer.orders);
    int m = segments.m(customer.netMinor);
    String before = name(customer.cell);
    customer.cell = (short) (r * 100 + f * 10 + m);
    String after = segments.name(r, f, m);
    customers.put(record.key(), customer);
    if (!after.equals(before)) {
      context.forward(record.withValue(change(record.key(), customer, before, after)));
    }
  }

  private String name(int cell) {
    return cell == 0 ? "none" : segments.name(cell / 100, cell / 10 % 10, cell % 10);
  }

  private byte[] change(byte[] key, Customer customer, String before, String after) {
    text.setLength(0);
    text.append("{\"customer_id\":\"").append(new String(key, StandardCharsets.UTF_8));
    text.append("\",\"dimension\":\"rfm\",\"previous\":\"").append(before);
    text.append("\",\"current\":\"").append(after);
    text.append("\",\"occurred_at\":").append(purchase.occurredAtMs);
    text.append(",\"cause\":{\"event_id\":\"").append(purchase.eventId());
    text.append("\"},\"scores\":{\"r\":").append(customer.cell / 100);
    text.append(",\"f\":").append(customer.cell / 10 % 10);
    text.append(",\"m\":").append(customer.cell % 10);
    text.append(",\"frequency\":").append(customer.orders);
    text.append(",\"monetary_minor\":").append(customer.netMinor).append("}}");
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }
}
