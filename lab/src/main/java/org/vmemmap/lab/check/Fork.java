// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Collections;
import java.util.Deque;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.PhysicalMemory;

/**
 * A kernel at one moment, to which it can be brought back again and again: what fork() would be if
 * a kernel were a process. Going back costs what has changed in memory since, and a pass over the
 * objects; booting costs a hundred times more.
 *
 * <p>Memory keeps copies of pages before they are written ({@link PhysicalMemory#mark}). Everything
 * else is the object graph: from the kernel on, each object that can be reached is visited, and
 * what may change in it is copied (fields that are not final, arrays, collections). An object of a
 * class that this does not know stops it with an error, so nothing can be left out unseen. This,
 * with {@link Fields}, is the one place that uses reflection: a list of fields by hand would forget
 * one some day, and runs would differ from those that boot.
 *
 * <p>Objects of the package of the checkers are not part of the kernel and stay as they are.
 */
public final class Fork {
  private static final String OURS = "org.vmemmap.";
  private static final String CHECKERS = Fork.class.getPackageName() + ".";
  private static final Set<Class<?>> COLLECTIONS =
      Set.of(ArrayList.class, LinkedList.class, ArrayDeque.class, HashSet.class,
          LinkedHashSet.class, TreeSet.class, HashMap.class, LinkedHashMap.class, TreeMap.class,
          IdentityHashMap.class, EnumMap.class);

  private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();

  /** A class is looked at once, whatever the number of kernels. */
  private static final ClassValue<Plan> PLANS =
      new ClassValue<>() {
        @Override
        protected Plan computeValue(Class<?> type) {
          return plan(type);
        }
      };

  private final PhysicalMemory memory;
  private final int mark;
  private final List<Runnable> ways = new ArrayList<>();
  private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
  private final Deque<Object> open = new ArrayDeque<>();

  /**
   * What there is to know of a class.
   *
   * @param links the fields that lead on
   * @param mutable those that can change; null when there are none
   */
  private record Plan(Fields links, @Nullable Fields mutable) {}

  private Fork(PhysicalMemory memory) {
    this.memory = memory;
    this.mark = memory.mark();
  }

  /** Remembers {@code kernel} as it is; going back to it forgets later forks. */
  public static Fork of(LabKernel kernel) {
    Fork fork = new Fork(kernel.mm().machine().memory());
    fork.reach(kernel);
    while (!fork.open.isEmpty()) {
      fork.visit(fork.open.removeFirst());
    }
    fork.seen.clear();
    return fork;
  }

  /** Brings the kernel back. */
  public void restore() {
    memory.rewind(mark);
    ways.forEach(Runnable::run);
  }

  /** How many objects are written to go back. */
  int objects() {
    return ways.size();
  }

  private void reach(@Nullable Object object) {
    if (object != null && !leaf(object) && seen.add(object)) {
      open.addLast(object);
    }
  }

  /** True for what never changes and leads nowhere, and for what is not the kernel's. */
  private static boolean leaf(Object object) {
    return object instanceof String
        || (object instanceof Number && !(object instanceof AtomicInteger))
        || object instanceof Boolean
        || object instanceof Character
        || object instanceof Enum
        || object instanceof Class
        || object instanceof PhysicalMemory
        || object.getClass() == Object.class
        || object.getClass().getName().startsWith(CHECKERS);
  }

  @SuppressWarnings("unchecked")
  private void visit(Object object) {
    switch (object) {
      case Optional<?> optional -> reach(optional.orElse(null));
      case AtomicInteger atomic -> {
        int value = atomic.get();
        ways.add(() -> atomic.set(value));
      }
      case BitSet bits -> {
        BitSet copy = (BitSet) bits.clone();
        ways.add(() -> restore(bits, copy));
      }
      case Collection<?> collection -> collection((Collection<Object>) collection);
      case Map<?, ?> map -> map((Map<Object, Object>) map);
      default -> {
        if (object.getClass().isArray()) {
          array(object);
        } else {
          fields(object);
        }
      }
    }
  }

  private static void restore(BitSet bits, BitSet copy) {
    bits.clear();
    bits.or(copy);
  }

  /** True when it never changes. @throws IllegalStateException for a collection of another kind */
  private static boolean immutable(Object collection) {
    Class<?> type = collection.getClass();
    if (type.getName().startsWith("java.util.ImmutableCollections$")) {
      return true;
    }
    if (!COLLECTIONS.contains(type) && !(collection instanceof EnumSet)) {
      throw unknown(type);
    }
    return false;
  }

  private static IllegalStateException unknown(Class<?> type) {
    return new IllegalStateException("cannot go back: an object of " + type.getName());
  }

  private void collection(Collection<Object> collection) {
    Object[] content = collection.toArray();
    for (Object element : content) {
      reach(element);
    }
    if (!immutable(collection)) {
      ways.add(() -> restore(collection, content));
    }
  }

  private static void restore(Collection<Object> collection, Object[] content) {
    if (!holds(collection, content)) {
      collection.clear();
      Collections.addAll(collection, content);
    }
  }

  /** True when it still has these very objects in this order: mostly nothing has changed. */
  @SuppressWarnings("ReferenceEquality")
  private static boolean holds(Collection<?> collection, Object[] content) {
    int at = 0;
    for (Object element : collection) {
      if (at == content.length || element != content[at++]) {
        return false;
      }
    }
    return at == content.length;
  }

  private void map(Map<Object, Object> map) {
    Object[] keys = map.keySet().toArray();
    Object[] values = map.values().toArray();
    for (int i = 0; i < keys.length; i++) {
      reach(keys[i]);
      reach(values[i]);
    }
    if (!immutable(map)) {
      ways.add(() -> restore(map, keys, values));
    }
  }

  private static void restore(Map<Object, Object> map, Object[] keys, Object[] values) {
    if (!holds(map.keySet(), keys) || !holds(map.values(), values)) {
      map.clear();
      for (int i = 0; i < keys.length; i++) {
        map.put(keys[i], values[i]);
      }
    }
  }

  private void array(Object array) {
    int length = Array.getLength(array);
    Class<?> type = array.getClass().getComponentType();
    for (int i = 0; !type.isPrimitive() && i < length; i++) {
      reach(Array.get(array, i));
    }
    Object copy = Array.newInstance(type, length);
    System.arraycopy(array, 0, copy, 0, length);
    ways.add(() -> System.arraycopy(copy, 0, array, 0, length));
  }

  private void fields(Object object) {
    Plan plan = PLANS.get(object.getClass());
    for (@Nullable Object linked : plan.links().read(object)) {
      reach(linked);
    }
    Fields mutable = plan.mutable();
    if (mutable != null) {
      @Nullable Object[] values = mutable.read(object);
      ways.add(() -> mutable.write(object, values));
    }
  }

  private static Plan plan(Class<?> type) {
    if (!type.getName().startsWith(OURS)) {
      throw unknown(type);
    }
    List<MethodHandle> links = new ArrayList<>();
    List<MethodHandle> getters = new ArrayList<>();
    List<MethodHandle> setters = new ArrayList<>();
    for (Field field : fields(type)) {
      if (!field.getType().isPrimitive()) {
        links.add(getter(field));
      }
      if (!Modifier.isFinal(field.getModifiers())) {
        getters.add(getter(field));
        setters.add(setter(field));
      }
    }
    return new Plan(
        Fields.fixed(links), setters.isEmpty() ? null : Fields.mutable(getters, setters));
  }

  /** Those of its objects, with what it inherits. */
  private static List<Field> fields(Class<?> type) {
    List<Field> fields = new ArrayList<>();
    for (Class<?> at = type; at.getName().startsWith(OURS); at = at.getSuperclass()) {
      for (Field field : at.getDeclaredFields()) {
        if (!Modifier.isStatic(field.getModifiers())) {
          field.setAccessible(true);
          fields.add(field);
        }
      }
    }
    return fields;
  }

  private static MethodHandle getter(Field field) {
    try {
      return LOOKUP.unreflectGetter(field);
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    }
  }

  private static MethodHandle setter(Field field) {
    try {
      return LOOKUP.unreflectSetter(field);
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    }
  }
}
