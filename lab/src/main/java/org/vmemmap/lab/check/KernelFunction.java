// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
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
  private static final String OURS = "org.vmemmap.";
  private static final String SOURCE = ".c";

  /** The tags of the methods of a class, by name, and by name and descriptor. */
  private static final ClassValue<Map<String, Kernel>> TAGS =
      new ClassValue<>() {
        @Override
        protected Map<String, Kernel> computeValue(Class<?> type) {
          Map<String, Kernel> tags = new HashMap<>();
          for (Method method : type.getDeclaredMethods()) {
            Kernel tag = method.getAnnotation(Kernel.class);
            if (tag != null) {
              tags.putIfAbsent(method.getName(), tag);
              tags.put(method.getName() + descriptor(method), tag);
            }
          }
          return Map.copyOf(tags);
        }
      };

  /** The kernel file that a class is; empty for none. */
  private static final ClassValue<String> FILE =
      new ClassValue<>() {
        @Override
        protected String computeValue(Class<?> type) {
          Kernel tag = type.getAnnotation(Kernel.class);
          return tag == null ? "" : tag.file();
        }
      };

  /** The innermost one; null outside of any. */
  public static @Nullable KernelFunction innermost() {
    return walk(frames -> frames.findFirst().orElse(null));
  }

  /** The innermost one; outside of any, the outermost of headers; null where there is neither. */
  public static @Nullable KernelFunction nearest() {
    KernelFunction inner = innermost();
    return inner == null
        ? walk(KernelFunction::tagged, frames -> frames.reduce((in, out) -> out).orElse(null))
        : inner;
  }

  /** The one in which {@code e} was thrown; null outside of any. */
  public static @Nullable KernelFunction of(Throwable e) {
    for (StackTraceElement frame : e.getStackTrace()) {
      Kernel tag = frame.getClassName().startsWith(OURS) ? tag(frame) : null;
      if (tag != null && tag.file().endsWith(SOURCE)) {
        return new KernelFunction(tag.symbol(), tag.file(), frame.getLineNumber());
      }
    }
    return null;
  }

  private static String descriptor(Method method) {
    return MethodType.methodType(method.getReturnType(), method.getParameterTypes())
        .descriptorString();
  }

  /** That of a method; of several of one name the first that has one, as they port one function. */
  private static @Nullable Kernel tag(StackTraceElement frame) {
    try {
      Class<?> type = Class.forName(frame.getClassName());
      boolean header = type.getPackageName().equals(HEADERS);
      return header ? null : TAGS.get(type).get(frame.getMethodName());
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    }
  }

  /** True when a class that is one of {@code files} runs, or waits for what it has called. */
  static boolean anyIn(Set<String> files) {
    return StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE)
        .walk(frames -> frames.anyMatch(frame -> files.contains(FILE.get(frame.getDeclaringClass()))));
  }

  /** As in {@code vmemmap_remap_pte (hugetlb_vmemmap.c)}. */
  public String shortText() {
    return symbol + " (" + file.substring(file.lastIndexOf('/') + 1) + ")";
  }

  @Override
  public String toString() {
    return symbol + " (" + file + ")";
  }

  private interface Use<T extends @Nullable Object> {
    T of(Stream<KernelFunction> functions);
  }

  private interface Look {
    @Nullable KernelFunction at(StackWalker.StackFrame frame);
  }

  private static <T extends @Nullable Object> T walk(Use<T> use) {
    return walk(KernelFunction::of, use);
  }

  private static <T extends @Nullable Object> T walk(Look look, Use<T> use) {
    return StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE)
        .walk(frames -> use.of(frames.flatMap(frame -> Stream.ofNullable(look.at(frame)))));
  }

  private static @Nullable KernelFunction of(StackWalker.StackFrame frame) {
    boolean header = frame.getDeclaringClass().getPackageName().equals(HEADERS);
    KernelFunction function = header ? null : tagged(frame);
    return function == null || !function.file().endsWith(SOURCE) ? null : function;
  }

  private static @Nullable KernelFunction tagged(StackWalker.StackFrame frame) {
    Class<?> type = frame.getDeclaringClass();
    if (!type.getName().startsWith(OURS)) {
      return null;
    }
    Kernel tag = TAGS.get(type).get(frame.getMethodName() + frame.getDescriptor());
    return tag == null ? null : new KernelFunction(tag.symbol(), tag.file(), frame.getLineNumber());
  }
}
