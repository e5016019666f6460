import java.nio.charset.StandardCharsets;

/**
 * The fields of a purchase that the job reads, out of Avro in single-object encoding.
 *
 * <p>Decoded by hand in the order of schemas/purchases.avsc, which is several times as fast as a
 * generic reader; one object serves all records. Next: {@link RfmProcessor}.
 */
final class Purchase {
  /** Bytes C3 01 and the fingerprint of the schema. */
  private static final int HEADER_BYTES = 10;

  private static final byte[] REFUND = "order_refunded".getBytes(StandardCharsets.US_ASCII);

  /** FNV-1a of the event id. */
  long eventHash;

  /** The event id, for the change that it causes. */
  String eventId() {
    return new String(bytes, eventIdAt, eventIdLength, StandardCharsets.UTF_8);
  }

  boolean isRefund;
  long occurredAtMs;
  long amountMinor;

  private byte[] bytes;
  private int at;
  private int eventIdAt;
  private int eventIdLength;

  void read(byte[] record) {
    bytes = record;
    at = HEADER_BYTES;
    eventIdLength = (int) number();
    eventIdAt = at;
    eventHash = hash(record, at, eventIdLength);
    at += eventIdLength;
    int kindLength = (int) number();
    isRefund = java.util.Arrays.equals(record, at, at + kindLength, REFUND, 0, REFUND.length);
    at += kindLength;
    skipText(); // customer_id, which is the key, too
    skipText(); // anonymous_id
    skipText(); // account_id
    occurredAtMs = number();
    skipText(); // source
    skipText(); // order_id
    amountMinor = number() == 0 ? 0 : number();
  }

  private void skipText() {
    if (number() != 0) {
      int length = (int) number();
      at += length;
    }
  }

  /** A zigzag varint. */
  private long number() {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte next = bytes[at++];
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return (value >>> 1) ^ -(value & 1);
      }
    }
  }

  static long hash(byte[] bytes, int from, int length) {
    long hash = 0xcbf29ce484222325L;
    for (int i = from; i < from + length; i++) {
      hash = (hash ^ (bytes[i] & 0xff)) * 0x100000001b3L;
    }
    return hash;
  }
}
