// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.YieldPoints;
import org.vmemmap.types.Kernel;

/**
 * Remembers the last shared steps of a machine, each with the kernel function that made it. The
 * function is found by looking up the Java stack, which is slow: for the run that is reported only.
 */
public final class Tracer implements YieldPoints.Listener {
  /** What {@link #function} says outside of any ported function. */
  public static final String NOWHERE = "boot";

  private static final int KEPT = 12;

  private final Deque<String> last = new ArrayDeque<>();

  @Override
  public void reached(String what, long where) {
    note(what + " 0x" + Long.toHexString(where));
  }

  /** Adds a line with the kernel function that runs now. */
  void note(String what) {
    if (last.size() == KEPT) {
      last.removeFirst();
    }
    last.addLast(what + "  in " + function());
  }

  /** The last steps, oldest first. */
  List<String> lines() {
    return List.copyOf(last);
  }

  /** The innermost ported function outside of the headers, as {@code symbol (file)}. */
  public static String function() {
    StackWalker walker = StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE);
    return walker.walk(
        frames ->
            frames
                .map(Tracer::kernelName)
                .filter(name -> !name.isEmpty())
                .findFirst()
                .orElse(NOWHERE));
  }

  private static String kernelName(StackWalker.StackFrame frame) {
    @Nullable Kernel kernel = frame.getDeclaringClass().getNestHost().getAnnotation(Kernel.class);
    boolean source = kernel != null && kernel.file().endsWith(".c");
    if (!source || frame.getMethodName().startsWith("<") || frame.getMethodName().equals("at")) {
      return "";
    }
    String method = frame.getMethodName().replaceFirst("^lambda\\$", "").replaceFirst("\\$.*", "");
    return snake(method) + " (" + kernel.file() + ")";
  }

  /** A Java name as the kernel has it: {@code vmemmapPteEntry} is {@code vmemmap_pte_entry}. */
  static String snake(String name) {
    String bare = name.replaceFirst("(?<=[a-z])[0-9]$", "");
    return bare.replaceAll("(?<=[a-z0-9])([A-Z])", "_$1").toLowerCase(Locale.ROOT);
  }
}
