import { describe, expect, it } from 'vitest';
import { type AnswerMessage, type Conversation, type UserMessage, isRunning, newConversation, newestLeaf, pathTo, settled, siblings, withMessage } from '../src/conversation';
import { messagesOf } from '../src/prompt';

const user = (id: string, parent: string | null, created: number, text = id): UserMessage => ({ id, parent, created, role: 'user', text, attachments: [] });
const answer = (id: string, parent: string, created: number, status: AnswerMessage['status'] = 'done'): AnswerMessage => ({
  ...{ id, parent, created, role: 'assistant', model: 'm', status, text: id, thinking: '', thinkingPieces: 0 },
});
const grown = (...messages: (UserMessage | AnswerMessage)[]): Conversation => messages.reduce(withMessage, newConversation());

describe('a conversation', () => {
  const tree = grown(user('q1', null, 1), answer('a1', 'q1', 2), user('q2', 'a1', 3), answer('a2', 'q2', 4), answer('a1b', 'q1', 5));

  it('shows the path to its leaf', () => {
    expect(pathTo(tree).map((m) => m.id)).toEqual(['q1', 'a1b']);
    expect(pathTo(tree, 'a2').map((m) => m.id)).toEqual(['q1', 'a1', 'q2', 'a2']);
    expect(pathTo(tree, 'nobody')).toEqual([]);
  });

  it('knows alternatives and the newest end behind each', () => {
    expect(siblings(tree, tree.nodes['a1b']!).map((m) => m.id)).toEqual(['a1', 'a1b']);
    expect(newestLeaf(tree, 'a1')).toBe('a2');
  });

  it('does not run in circles over damaged data', () => {
    const damaged = { ...tree, nodes: { ...tree.nodes, q1: user('q1', 'a1', 1) } };
    expect(pathTo(damaged, 'a1').map((m) => m.id)).toEqual(['q1', 'a1']);
  });

  it('is named by its first question, unless somebody named it', () => {
    expect(grown(user('q', null, 1, `  two\n\nwords ${'x'.repeat(80)}`)).title).toBe(`two words ${'x'.repeat(49)}…`);
    expect(withMessage({ ...newConversation(), named: true, title: 'Mine' }, user('q', null, 1)).title).toBe('Mine');
  });

  it('says of an answer that nobody writes any more that it was cut off', () => {
    const cut = settled(grown(user('q', null, 1), answer('a', 'q', 2, 'writing')));
    expect(isRunning(cut.nodes['a']!)).toBe(false);
    expect(cut.nodes['a']).toMatchObject({ status: 'failed', trouble: { code: 'interrupted' } });
  });

  it('is sent with media before the text, without thoughts and empty answers', () => {
    const media = ['image', 'video', 'document'] as const;
    const question = { ...user('q', null, 1), attachments: media.map((kind) => ({ id: kind, name: kind, type: '', kind, size: 1, fileId: `file-${kind}` })) };
    const path = [question, { ...answer('a', 'q', 2, 'failed'), text: '' }, user('again', 'a', 3)];
    expect(messagesOf(path, ' Be brief. ')).toEqual([
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'file-image' } },
          { type: 'video_url', video_url: { url: 'file-video' } },
          { type: 'file', file: { file_id: 'file-document' } },
          { type: 'text', text: 'q' },
        ],
      },
      { role: 'user', content: 'again' },
    ]);
  });
});
