// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import com.tngtech.archunit.core.domain.JavaClass;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;

/**
 * A {@code @Kernel} tag and where it stands.
 *
 * @param type simple name of the Java class, with its outer classes
 * @param member method with parentheses, field, or empty for the type itself
 * @param tag the tag
 */
record KernelTag(String type, String member, Kernel tag) {
  /** All tags of the product, by kernel file, symbol and place. */
  static List<KernelTag> all() {
    List<KernelTag> tags = new ArrayList<>();
    for (JavaClass imported : Imported.product()) {
      Class<?> type = imported.reflect();
      add(tags, type, "", type.getDeclaredAnnotation(Kernel.class));
      for (Method method : type.getDeclaredMethods()) {
        if (!method.isBridge() && !method.isSynthetic()) {
          add(tags, type, method.getName() + "()", method.getDeclaredAnnotation(Kernel.class));
        }
      }
      for (Executable constructor : type.getDeclaredConstructors()) {
        add(tags, type, "new()", constructor.getDeclaredAnnotation(Kernel.class));
      }
      for (Field field : type.getDeclaredFields()) {
        add(tags, type, field.getName(), field.getDeclaredAnnotation(Kernel.class));
      }
    }
    tags.sort(
        Comparator.comparing((KernelTag t) -> t.tag().file())
            .thenComparing(t -> t.tag().symbol())
            .thenComparing(KernelTag::place));
    return tags;
  }

  private static void add(List<KernelTag> tags, Class<?> type, String member, @Nullable Kernel tag) {
    if (tag != null) {
      String outer = type.getPackageName() + ".";
      tags.add(new KernelTag(type.getName().substring(outer.length()).replace('$', '.'), member, tag));
    }
  }

  /** Class and member. */
  String place() {
    return member.isEmpty() ? type : type + "." + member;
  }
}
