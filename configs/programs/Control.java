import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Allocates in the heap of the virtual machine, so that malloc takes little part in it. */
public class Control {
    public static void main(String[] arguments) {
        Map<Integer, List<String>> groups = new HashMap<>();
        for (int at = 0; at < 600_000; at++) {
            groups.computeIfAbsent(at * 31 % 5003, key -> new ArrayList<>()).add("item " + at);
        }
        long sum = 0;
        for (int key = 0; key < 5003; key++) {
            for (String text : groups.get(key)) {
                sum += text.hashCode() % 1000 * (long) key;
            }
        }
        System.out.println(groups.size() + " " + sum);
    }
}
