// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Mm;

/**
 * A crash of the kernel in the words of case files: which struct page it read, in which function,
 * and what the hardware said. The model's words for the same are found in its fault and its stack;
 * where they say what the case says, the case's spelling is taken.
 */
final class Oops {
  private static final Pattern ADDRESS = Pattern.compile("va=(0x[0-9a-f]+)");
  private static final String NOT_PRESENT = "not-present";
  private static final String OURS = "org.vmemmap.";

  private Oops() {}

  /** The fault as the result of an operation that expects {@code wanted}. */
  static Map<String, Object> of(MachineFault fault, Map<String, JsonNode> wanted, Mm mm) {
    Map<String, Object> oops = new LinkedHashMap<>();
    oops.put("touches", touches(fault, text(wanted, "touches"), mm));
    oops.put("in", in(fault, text(wanted, "in")));
    boolean unmapped = fault.rule().equals(NOT_PRESENT);
    oops.put("what", unmapped ? text(wanted, "what") : fault.rule());
    oops.keySet().retainAll(wanted.keySet());
    return oops;
  }

  private static String text(Map<String, JsonNode> wanted, String key) {
    return String.valueOf(wanted.get(key));
  }

  private static String touches(MachineFault fault, String wanted, Mm mm) {
    Matcher address = ADDRESS.matcher(String.valueOf(fault.getMessage()));
    if (!address.find()) {
      return String.valueOf(fault.getMessage());
    }
    long offset = Fields.parseHex(address.group(1)) - mm.model().vmemmapBase();
    long pfn = offset / mm.config().sizeofStructPage();
    boolean same = wanted.matches("(.*\\D)?" + pfn + "(\\D.*)?");
    return same ? wanted : "page[" + pfn + "]";
  }

  /** One of the functions that were running; the innermost but for the reading of a field. */
  private static String in(MachineFault fault, String wanted) {
    String innermost = "";
    for (StackTraceElement element : fault.getStackTrace()) {
      if (element.getClassName().startsWith(OURS)) {
        String function = snake(element.getMethodName());
        innermost = innermost.isEmpty() ? function : innermost;
        if (wanted.matches("(.*\\W)?" + function + "(\\W.*)?")) {
          return wanted;
        }
      }
    }
    return innermost;
  }

  private static String snake(String name) {
    return name.replaceAll("([A-Z])", "_$1").toLowerCase(java.util.Locale.ROOT);
  }
}
