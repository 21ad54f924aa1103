// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static java.lang.invoke.MethodHandles.empty;
import static java.lang.invoke.MethodHandles.filterArguments;
import static java.lang.invoke.MethodHandles.foldArguments;
import static java.lang.invoke.MethodHandles.insertArguments;
import static java.lang.invoke.MethodHandles.permuteArguments;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Some fields of a class, all of them read or written in one call: of what {@link Fork} does with
 * an object nothing costs more than a call for each field.
 *
 * <p>Values of primitive types are boxed.
 */
final class Fields {
  private static final MethodType READ = MethodType.methodType(Object[].class, Object.class);
  private static final MethodType WRITE =
      MethodType.methodType(void.class, Object.class, Object[].class);
  private static final MethodType READ_ONE = MethodType.methodType(Object.class, Object.class);
  private static final MethodType WRITE_ONE =
      MethodType.methodType(void.class, Object.class, Object.class);

  private final MethodHandle reader;
  private final MethodHandle writer;

  private Fields(MethodHandle reader, MethodHandle writer) {
    this.reader = reader;
    this.writer = writer;
  }

  /** Fields that are only read, each by one of {@code getters}. */
  static Fields fixed(List<MethodHandle> getters) {
    return new Fields(reader(getters), empty(WRITE));
  }

  /** Fields that are read, and written by {@code setters}, which are in the same order. */
  static Fields mutable(List<MethodHandle> getters, List<MethodHandle> setters) {
    return new Fields(reader(getters), writer(setters));
  }

  private static MethodHandle reader(List<MethodHandle> getters) {
    int count = getters.size();
    MethodHandle[] each =
        getters.stream().map(getter -> getter.asType(READ_ONE)).toArray(MethodHandle[]::new);
    MethodHandle array = MethodHandles.identity(Object[].class).asCollector(Object[].class, count);
    return permuteArguments(filterArguments(array, 0, each), READ, new int[count]);
  }

  private static MethodHandle writer(List<MethodHandle> setters) {
    MethodHandle element = MethodHandles.arrayElementGetter(Object[].class);
    MethodHandle all = empty(WRITE);
    for (int i = 0; i < setters.size(); i++) {
      MethodHandle setter = setters.get(i).asType(WRITE_ONE);
      all = foldArguments(all, filterArguments(setter, 1, insertArguments(element, 1, i)));
    }
    return all;
  }

  /** Their values in {@code object}, in the order in which they were given. */
  @Nullable Object[] read(Object object) {
    try {
      return (@Nullable Object[]) reader.invokeExact(object);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Writes {@code values}, as they were read, to {@code object}. */
  void write(Object object, @Nullable Object[] values) {
    try {
      writer.invokeExact(object, values);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
