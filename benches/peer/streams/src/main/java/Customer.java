import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;

/** What is kept of a customer: 24 bytes, and 8 for each of the last 16 events. */
final class Customer {
  private static final int REMEMBERED = 16;

  int orders;
  long netMinor;
  long lastOrderAtMs;
  /** R, F and M in one number, 0 = nothing published. */
  short cell;

  private long[] events = new long[2];
  private int known;
  private int oldest;

  /** False when the event was seen before. */
  boolean remember(long eventHash) {
    for (int i = 0; i < known; i++) {
      if (events[i] == eventHash) {
        return false;
      }
    }
    if (known < REMEMBERED) {
      if (known == events.length) {
        events = Arrays.copyOf(events, Math.min(REMEMBERED, known * 2));
      }
      events[known++] = eventHash;
    } else {
      events[oldest] = eventHash;
      oldest = (oldest + 1) % REMEMBERED;
    }
    return true;
  }

  static final class Writer implements Serializer<Customer> {
    @Override
    public byte[] serialize(String topic, Customer customer) {
      if (customer == null) {
        return null;
      }
      byte[] bytes = new byte[24 + 8 * customer.known];
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      buffer.putInt(customer.orders).putLong(customer.netMinor).putLong(customer.lastOrderAtMs);
      buffer.putShort(customer.cell).put((byte) customer.known).put((byte) customer.oldest);
      for (int i = 0; i < customer.known; i++) {
        buffer.putLong(customer.events[i]);
      }
      return bytes;
    }
  }

  static final class Reader implements Deserializer<Customer> {
    @Override
    public Customer deserialize(String topic, byte[] bytes) {
      if (bytes == null) {
        return null;
      }
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      Customer customer = new Customer();
      customer.orders = buffer.getInt();
      customer.netMinor = buffer.getLong();
      customer.lastOrderAtMs = buffer.getLong();
      customer.cell = buffer.getShort();
      customer.known = buffer.get();
      customer.oldest = buffer.get();
      customer.events = new long[Math.max(2, customer.known)];
      for (int i = 0; i < customer.known; i++) {
        customer.events[i] = buffer.getLong();
      }
      return customer;
    }
  }
}
