"""The chat format of MODEL_SPEC §5.3 as a template, for folders without a `chat_template.jinja` of their own.

Earlier answers lose their thinking (§5.5), but for one that is to be continued. `processor.chat.render` is the same without a template; the
tests hold the two against each other.
"""

TEMPLATE = """\
{%- set continued = continue_final_message is defined and continue_final_message -%}
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
<|im_system|>system<|im_middle|>You are a helpful assistant<|im_end|>
{%- endif -%}
{%- if message['role'] not in ['system', 'user', 'assistant'] -%}
{{- raise_exception('the role is ' ~ message['role'] ~ '; it must be system, user or assistant') -}}
{%- endif -%}
{{- '<|im_' ~ message['role'] ~ '|>' ~ message['role'] ~ '<|im_middle|>' -}}
{%- set parts = [{'type': 'text', 'text': message['content']}] if message['content'] is string else message['content'] -%}
{%- for part in parts -%}
{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
<|media_start|>image<|media_content|><|media_pad|><|media_end|>
{%- elif message['role'] == 'assistant' and not loop.last -%}
{{- part['text'] -}}
{%- elif message['role'] == 'assistant' and '◁/think▷' in part['text'] and not continued -%}
{{- part['text'].split('◁/think▷')[-1].strip() -}}
{%- else -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
<|im_end|>
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_assistant|>assistant<|im_middle|>
{%- endif -%}\
"""
