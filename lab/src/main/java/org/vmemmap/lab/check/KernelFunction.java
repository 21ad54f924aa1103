// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.lang.reflect.Method;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;

/**
 * A kernel function that runs, as its tag names it. Found by looking up the Java stack, which takes
 * microseconds: for a run that is reported, or for one call in many.
 *
 * <p>What is in headers, and the counters of mm/vmstat.c, is passed over: their callers tell more.
 *
 * @param symbol its name
 * @param file where it is
 * @param line line of the Java file at which it calls on
 */
public record KernelFunction(String symbol, String file, int line) {
  private static final String HEADERS = Kernel.class.getPackageName();

  /** The innermost one; null outside of any. */
  public static @Nullable KernelFunction innermost() {
    return walk(frames -> frames.findFirst().orElse(null));
  }

  /** All of them, innermost first. */
  static List<KernelFunction> stack() {
    return walk(Stream::toList);
  }

  @Override
  public String toString() {
    return symbol + " (" + file + ")";
  }

  private interface Use<T extends @Nullable Object> {
    T of(Stream<KernelFunction> functions);
  }

  private static <T extends @Nullable Object> T walk(Use<T> use) {
    return StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE)
        .walk(frames -> use.of(frames.flatMap(frame -> Stream.ofNullable(of(frame)))));
  }

  private static @Nullable KernelFunction of(StackWalker.StackFrame frame) {
    Class<?> type = frame.getDeclaringClass();
    if (type.getPackageName().equals(HEADERS) || !type.getName().startsWith("org.vmemmap.")) {
      return null;
    }
    Kernel tag = tag(type, frame);
    return tag == null || !tag.file().endsWith(".c")
        ? null
        : new KernelFunction(tag.symbol(), tag.file(), frame.getLineNumber());
  }

  private static @Nullable Kernel tag(Class<?> type, StackWalker.StackFrame frame) {
    try {
      Method method =
          type.getDeclaredMethod(frame.getMethodName(), frame.getMethodType().parameterArray());
      return method.getAnnotation(Kernel.class);
    } catch (NoSuchMethodException e) {
      // A constructor.
      return null;
    }
  }
}
