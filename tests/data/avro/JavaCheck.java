// A second opinion on cases.jsonl: decodes every good case with Avro Java and prints where it differs.
//
//   mvn dependency:copy-dependencies (org.apache.avro:avro:1.12.0) into lib/, then
//   java -cp 'lib/*' tests/data/avro/JavaCheck.java tests/data/avro/cases.jsonl
//
// Known differences: text of numbers (Java's own forms), 16-byte uuids, an array of doubles (1.12.0 rounds them to floats),
// and what make_cases.py notes: unwanted fields, aliases, an empty decimal, bodies that Java lets by.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

public class JavaCheck {
    private static final Pattern STEP = Pattern.compile("\\[(\\d+)\\]|((?:[^.\\[\\\\]|\\\\.)+)");

    /** A value and the schema it was read with (unions resolved), or null. */
    private record Found(Object value, Schema schema) {}

    private static Found at(Object value, Schema schema) {
        if (schema.getType() == Schema.Type.UNION)
            schema = schema.getTypes().get(GenericData.get().resolveUnion(schema, value));
        return value == null ? null : new Found(value, schema);
    }

    private static Found walk(Found found, String path) {
        for (Matcher step = STEP.matcher(path); found != null && step.find();) {
            if (step.group(1) != null) {
                int index = Integer.parseInt(step.group(1));
                found = found.value instanceof List<?> list && index < list.size()
                    ? at(list.get(index), found.schema.getElementType()) : null;
                continue;
            }
            String name = step.group(2).replaceAll("\\\\(.)", "$1");
            if (found.value instanceof IndexedRecord record) {
                Schema.Field field = record.getSchema().getField(name);
                found = field == null ? null : at(record.get(field.pos()), field.schema());
            } else if (found.value instanceof Map<?, ?> map) {
                Object entry = null;
                for (Map.Entry<?, ?> each : map.entrySet())
                    if (each.getKey().toString().equals(name)) entry = each.getValue();
                found = entry == null ? null : at(entry, found.schema.getValueType());
            } else {
                found = null;
            }
        }
        return found;
    }

    private static byte[] bytes(Object value) {
        if (value instanceof GenericFixed fixed) return fixed.bytes();
        ByteBuffer buffer = ((ByteBuffer) value).duplicate();
        byte[] out = new byte[buffer.remaining()];
        buffer.get(out);
        return out;
    }

    private static double number(Found found) {
        if (found == null) return Double.NaN;
        if (found.value instanceof Boolean flag) return flag ? 1 : 0;
        if (found.value instanceof Number number) return number.doubleValue();
        LogicalTypes.Decimal decimal = (LogicalTypes.Decimal) found.schema.getLogicalType();
        return new BigDecimal(new BigInteger(bytes(found.value)), decimal.getScale()).doubleValue();
    }

    private static String text(Found found) {
        if (found == null) return null;
        if (found.value instanceof ByteBuffer || found.value instanceof GenericFixed)
            return new String(bytes(found.value), StandardCharsets.UTF_8);
        return found.value.toString();
    }

    private static boolean same(double a, String b) {
        double other = b.equals("inf") ? Double.POSITIVE_INFINITY : b.equals("-inf") ? Double.NEGATIVE_INFINITY
            : b.equals("nan") ? Double.NaN : Double.parseDouble(b);
        return Double.compare(a, other) == 0;
    }

    private static boolean matches(Object root, Schema schema, JsonNode want, JsonNode expected) {
        Found found = walk(at(root, schema), want.get("path").asText());
        switch (want.get("type").asText()) {
            case "text":
                JsonNode shown = expected.get("text");
                return shown.isNull() ? found == null : found != null && shown.asText().equals(text(found));
            case "vector":
                for (int i = 0; i < expected.size(); i++) {
                    Found item = found == null ? null : at(((List<?>) found.value).get(i), found.schema.getElementType());
                    if (!same(number(item), expected.get(i).asText())) return false;
                }
                return true;
            case "time": return true; // Java has no notion of it
            default: return same(number(found), expected.asText());
        }
    }

    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        int decoded = 0, fingerprints = 0, refused = 0, different = 0;
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            JsonNode entry = json.readTree(line);
            String name = entry.get("name").asText();
            try {
                Schema writer = new Schema.Parser().parse(entry.get("writer").asText());
                if (entry.has("fingerprint")) {
                    byte[] print = SchemaNormalization.parsingFingerprint("CRC-64-AVRO", writer);
                    fingerprints++;
                    if (!HexFormat.of().formatHex(print).equals(entry.get("fingerprint").asText()))
                        System.out.println("fingerprint: " + name + ": " + HexFormat.of().formatHex(print));
                }
                if (!entry.has("body")) continue;
                Schema reader = entry.get("reader").isNull() ? writer : new Schema.Parser().parse(entry.get("reader").asText());
                byte[] body = HexFormat.of().parseHex(entry.get("body").asText());
                BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(body, null);
                Object root = new GenericDatumReader<Object>(writer, reader).read(null, decoder);
                if (!entry.has("expect")) {
                    System.out.println("accepts: " + name);
                    continue;
                }
                decoded++;
                for (int i = 0; i < entry.get("wants").size(); i++) {
                    if (matches(root, reader, entry.get("wants").get(i), entry.get("expect").get(i))) continue;
                    System.out.println("differs: " + name + ": " + entry.get("wants").get(i).get("path"));
                    different++;
                }
            } catch (Exception | StackOverflowError | OutOfMemoryError problem) {
                refused++;
                if (entry.has("expect")) System.out.println("refuses: " + name + ": " + problem);
            }
        }
        System.out.println(decoded + " decoded, " + different + " values differ, " + fingerprints + " fingerprints, " + refused + " refused");
    }
}
